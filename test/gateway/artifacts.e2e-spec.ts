import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { gzipSync } from 'node:zlib';
import { jetstream } from '@nats-io/jetstream';
import { eventually } from '#libs/testing';
import { Keys } from './keys.js';
import { type Answer, type Json, type Service, executions, startService } from './service.js';

const artifacts = '/api/v1/artifacts';
const MIB = 1024 * 1024;

let service: Service;
let execution: string;
beforeAll(async () => {
  service = await startService({ RUNLEDGER_ARTIFACT_MAX_BYTES: String(5 * MIB), RUNLEDGER_ARTIFACT_BUCKET_BYTES: String(64 * MIB) });
  execution = await ended();
}, 30_000);
afterAll(() => service.stop());

const requested = async (more: Json = {}, headers: Record<string, string> = {}): Promise<string> => {
  const plan = { name: 'files', tasks: [{ id: 'a', runner: 'command', input: { argv: ['true'] } }] };
  return String((await service.post(executions, { plan, ...more }, headers)).body['id']);
};

const ended = async (): Promise<string> => {
  const id = await requested();
  await service.drive(id, { type: 'StartTask', taskId: 'a', executor: 'one' }, { type: 'RecordOutcome', taskId: 'a', attempt: 1, outcome: { ok: true, result: {} } });
  return id;
};

const form = (bytes: Uint8Array | string, name: string, fields: Readonly<Record<string, string>> = {}): FormData => {
  const data = new FormData();
  for (const [field, value] of Object.entries(fields)) data.append(field, value);
  data.append('file', new Blob([bytes]), name);
  return data;
};

const upload = async (body: FormData, { to = execution, headers = {} }: { to?: string; headers?: Record<string, string> } = {}): Promise<Answer> => {
  const answer = await fetch(`${service.url}${executions}/${to}/artifacts`, { method: 'POST', body, headers });
  return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Json };
};

/** A body as it stands. */
const sendRaw = async (body: string | Uint8Array, contentType: string, headers: Record<string, string> = {}): Promise<Answer> => {
  const answer = await fetch(`${service.url}${executions}/${execution}/artifacts`, { method: 'POST', body, headers: { 'content-type': contentType, ...headers } });
  return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Json };
};

const download = async (id: unknown, headers: Record<string, string> = {}): Promise<{ status: number; headers: Headers; bytes: Buffer }> => {
  const answer = await fetch(`${service.url}${artifacts}/${String(id)}/download`, { headers });
  return { status: answer.status, headers: answer.headers, bytes: Buffer.from(await answer.arrayBuffer()) };
};

const listed = async (query: string, headers: Record<string, string> = {}): Promise<Json[]> => (await service.get(`${artifacts}${query}`, headers)).body['artifacts'] as Json[];

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Messages in a tenant's bucket. */
const stored = async (tenant = 'default'): Promise<number> => {
  const manager = await jetstream(service.nats.connection).jetstreamManager();
  return (await manager.streams.info(`OBJ_artifacts_${tenant}`)).state.messages;
};

const sequenceNow = async (): Promise<number> => (await service.log.head()).sequence;

describe('an uploaded file', () => {
  it('is listed, read, downloaded and deleted, and its execution stays as it had ended', async () => {
    const bytes = randomBytes(300_000);
    const before = await stored().catch(() => 0);
    const answer = await upload(form(bytes, 'data.bin', { type: 'data', tags: 'daily, sums', description: 'of today', retentionDays: '3' }), { headers: { 'x-correlation-id': 'upload-1' } });
    expect(answer).toMatchObject({ status: 201, body: { execution, name: 'data.bin', type: 'data', tags: ['daily', 'sums'], size: 300_000, sha256: sha256(bytes), mimeType: 'application/octet-stream', public: false } });
    const id = String(answer.body['id']);
    expect(answer.headers.get('location')).toBe(`${artifacts}/${id}`);
    const known = (await service.get(`${artifacts}/${id}`)).body;
    expect(known).toMatchObject({ id, execution, description: 'of today', task: null, attempt: null, createdBy: 'anonymous', sha256: sha256(bytes) });
    expect(Date.parse(String(known['expiresAt'])) - Date.parse(String(known['createdAt']))).toBeCloseTo(3 * 86_400_000, -4);
    const { links: _links, ...inList } = known;
    expect(await listed(`?execution=${execution}`)).toEqual([inList]);
    expect((await download(id)).bytes.equals(bytes)).toBe(true);
    expect((await service.get(`${executions}/${execution}`)).body['status']).toBe('completed');

    const { body } = await service.get(`${executions}/${execution}/events`);
    const events = body['events'] as Json[];
    expect(events[events.length - 1]).toMatchObject({ type: 'ArtifactCreated', actor: 'anonymous', correlationId: 'upload-1', data: { artifactId: id, size: 300_000 } });
    expect((await service.delete(`${artifacts}/${id}`)).status).toBe(204);
    expect((await service.get(`${artifacts}/${id}`)).body).toMatchObject({ status: 404, code: 'ARTIFACT_NOT_FOUND' });
    expect((await download(id)).status).toBe(404);
    expect((await service.delete(`${artifacts}/${id}`)).status).toBe(404);
    expect(await listed(`?execution=${execution}&minSeq=${await sequenceNow()}`)).toEqual([]);
    expect(await stored()).toBe(before);
    expect((await service.get(`${executions}/${execution}`)).body['status']).toBe('completed');
  });

  it.each([0, 1, 131_072, 131_073])('may have %i bytes', async (size) => {
    const bytes = randomBytes(size);
    const { body } = await upload(form(bytes, 'x'));
    const { status, headers, bytes: back } = await download(body['id']);
    expect([status, headers.get('content-length'), back.equals(bytes)]).toEqual([200, String(size), true]);
  });

  it('is the same where the same key names it, and refused where another file has that key', async () => {
    const headers = { 'idempotency-key': 'report-1' };
    const [one, two] = [randomBytes(1_000), randomBytes(1_000)];
    const first = await upload(form(one, 'r', { retentionDays: '1' }), { headers });
    const before = await stored();
    const again = await upload(form(one, 'r', { retentionDays: '1' }), { headers });
    expect(again).toMatchObject({ status: 201, body: first.body });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(await upload(form(two, 'r', { retentionDays: '1' }), { headers })).toMatchObject({ status: 409, body: { code: 'IDEMPOTENCY_KEY_REUSED' } });
    expect(await upload(form(one, 'r', { retentionDays: '2' }), { headers })).toMatchObject({ status: 409 });
    expect(await stored()).toBe(before);
    expect((await download(first.body['id'])).bytes.equals(one)).toBe(true);
    expect(await listed(`?execution=${execution}&minSeq=${await sequenceNow()}`)).toEqual(expect.arrayContaining([expect.objectContaining({ id: first.body['id'] })]));
  });

  it('needs an execution, and one that is there', async () => {
    expect(await upload(form('x', 'x'), { to: 'nobody' })).toMatchObject({ status: 404, body: { code: 'EXECUTION_NOT_FOUND' } });
    expect(await upload(form('x', 'x'), { to: 'a.b' })).toMatchObject({ status: 400, body: { code: 'ID_INVALID' } });
  });
});

describe('a list of artifacts', () => {
  it('is filtered by execution, task, step, type and tag, and paged', async () => {
    const id = await requested();
    await service.drive(id, { type: 'StartTask', taskId: 'a', executor: 'one' });
    const made = { artifactId: 'made-by-a', name: 'm', type: 'log' as const, tags: ['x'], mimeType: 'text/plain', size: 1, sha256: 'f', public: false, object: 'o', taskId: 'a', attempt: 1, stepId: 'a.1.1' };
    await service.drive(id, { type: 'RecordArtifact', taskId: 'a', attempt: 1, artifact: made });
    const ids: unknown[] = [];
    for (const [type, tags] of [['report', 'x'], ['report', 'x,y'], ['image', 'y']] as const) {
      ids.push((await upload(form('x', 'x', { type, tags }), { to: id })).body['id']);
    }
    const minSeq = await sequenceNow();
    const idsOf = async (query: string): Promise<unknown[]> => (await listed(`?execution=${id}&minSeq=${minSeq}${query}`)).map((artifact) => artifact['id']);
    expect(await idsOf('')).toEqual([...ids.toReversed(), 'made-by-a']);
    expect(await idsOf('&type=report')).toEqual([ids[1], ids[0]]);
    expect(await idsOf('&type=report,log')).toEqual([ids[1], ids[0], 'made-by-a']);
    expect(await idsOf('&tag=y')).toEqual([ids[2], ids[1]]);
    expect(await idsOf('&tag=y&tag=x')).toEqual([ids[1]]);
    expect(await idsOf('&task=a')).toEqual(['made-by-a']);
    expect(await idsOf('&step=a.1.1')).toEqual(['made-by-a']);
    expect(await idsOf('&step=a.1.2')).toEqual([]);

    const first = await service.get(`${artifacts}?execution=${id}&limit=3&minSeq=${minSeq}`);
    expect((first.body['artifacts'] as Json[]).map((artifact) => artifact['id'])).toEqual(ids.toReversed());
    const next = /<(.*)>; rel="next"/.exec(first.headers.get('link') ?? '')?.[1] ?? '';
    expect((await service.get(next)).body).toMatchObject({ artifacts: [{ id: 'made-by-a' }], next: null });
  });

  it('of an execution is asked of that itself, and says where there is none', async () => {
    const id = await ended();
    const all = `${executions}/${id}/artifacts`;
    expect((await service.get(all)).body['artifacts']).toEqual([]);
    const [one, two] = [await upload(form('1', 'one', { type: 'log' }), { to: id }), await upload(form('2', 'two'), { to: id })].map(({ body }) => String(body['id']));
    const idsOf = async (query: string): Promise<unknown[]> => ((await service.get(`${all}?minSeq=${await sequenceNow()}${query}`)).body['artifacts'] as Json[]).map((each) => each['id']);
    expect(await idsOf('')).toEqual([two, one]);
    expect(await idsOf('&type=log')).toEqual([one]);
    const link = /<(.*)>; rel="next"/.exec((await service.get(`${all}?limit=1`)).headers.get('link') ?? '')?.[1] ?? '';
    expect(link.startsWith(`${all}?`)).toBe(true);
    expect((await service.get(link)).body).toMatchObject({ artifacts: [{ id: one }], next: null });
    expect(await service.get(`${all}?execution=${id}`)).toMatchObject({ status: 400, body: { code: 'QUERY_INVALID' } });
    expect(await service.get(`${executions}/nowhere/artifacts`)).toMatchObject({ status: 404, body: { code: 'EXECUTION_NOT_FOUND' } });
    await service.delete(`${executions}/${id}`);
    expect(await service.get(all)).toMatchObject({ status: 410, body: { code: 'EXECUTION_DELETED' } });
  });

  it.each(['?type=video', '?limit=201', '?who=me', '?task=a&task=b', '?cursor=nonsense'])('is refused for %s', async (query) => {
    expect((await service.get(artifacts + query)).status).toBe(400);
  });
});

describe('a download', () => {
  const bytes = Buffer.from('0123456789'.repeat(30_000));
  let id: unknown;
  beforeAll(async () => {
    id = (await upload(form(bytes, 'ten.txt'))).body['id'];
  });

  it.each([
    ['bytes=0-0', 0, 1],
    ['bytes=5-9', 5, 10],
    ['bytes=131070-131075', 131_070, 131_076],
    ['bytes=299999-', 299_999, 300_000],
    ['bytes=299990-999999', 299_990, 300_000],
    ['bytes=-3', 299_997, 300_000],
    ['bytes=-999999', 0, 300_000],
  ])('of range %s is those bytes', async (range, from, to) => {
    const { status, headers, bytes: part } = await download(id, { range });
    expect([status, headers.get('content-range'), headers.get('content-length')]).toEqual([206, `bytes ${from}-${to - 1}/300000`, String(to - from)]);
    expect(part.equals(bytes.subarray(from, to))).toBe(true);
  });

  it.each(['bytes=300000-', 'bytes=999999-1000000', 'bytes=-0'])('of range %s, which holds nothing, is refused with the size', async (range) => {
    const { status, headers, bytes: body } = await download(id, { range });
    expect([status, headers.get('content-range')]).toEqual([416, 'bytes */300000']);
    expect(JSON.parse(String(body))).toMatchObject({ code: 'RANGE_NOT_SATISFIABLE' });
  });

  it.each(['bytes=1-2,4-5', 'bytes=9-3', 'bytes=-', 'lines=1-2', 'bytes=a-b', 'bytes=1-2x'])('of what is no single range (%s) is everything', async (range) => {
    const { status, bytes: all } = await download(id, { range });
    expect([status, all.equals(bytes)]).toEqual([200, true]);
  });

  it('is not sent again to who has it, and a range only of what it was taken from', async () => {
    const etag = `"${sha256(bytes)}"`;
    expect((await download(id)).headers.get('etag')).toBe(etag);
    for (const ifNoneMatch of [etag, '*', `"other", W/${etag}`]) {
      const { status, bytes: none } = await download(id, { 'if-none-match': ifNoneMatch });
      expect([status, none.length]).toEqual([304, 0]);
    }
    expect((await download(id, { 'if-none-match': '"other"' })).status).toBe(200);
    expect((await download(id, { 'if-match': `"other", ${etag}` })).status).toBe(200);
    const other = await download(id, { 'if-match': '"other"' });
    expect([other.status, String(other.bytes)]).toEqual([412, expect.stringContaining('PRECONDITION_FAILED')]);
    expect((await download(id, { range: 'bytes=0-1', 'if-range': etag })).status).toBe(206);
    expect((await download(id, { range: 'bytes=0-1', 'if-range': '"other"' })).status).toBe(200);
  });

  it('tells with HEAD what it would be', async () => {
    const answer = await fetch(`${service.url}${artifacts}/${String(id)}/download`, { method: 'HEAD' });
    expect([answer.status, answer.headers.get('content-length'), answer.headers.get('etag')]).toEqual([200, '300000', `"${sha256(bytes)}"`]);
  });

  it.each([
    ['a drawing', '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', 'x.svg'],
    ['a page', '<!doctype html><script>alert(1)</script>', 'x.html'],
  ])('of %s is saved, never shown, and nothing in it runs', async (_, content, name) => {
    const { body } = await upload(form(content, name));
    const { headers } = await download(body['id']);
    expect(headers.get('content-disposition')).toBe(`attachment; filename="${name}"; filename*=UTF-8''${name}`);
    expect(headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toBe("default-src 'none'; sandbox");
    expect(headers.get('x-frame-options')).toBe('DENY');
  });

  it('of a file with a name that would be a path, a header or neither is harmless', async () => {
    const name = '../../x"\r\nSet-Cookie: a=b';
    const { body } = await upload(form('x', 'x', { name: '../../Übersicht "x".txt' }));
    expect((await download(body['id'])).headers.get('content-disposition')).toBe(
      `attachment; filename=".._..__bersicht _x_.txt"; filename*=UTF-8''.._.._%C3%9Cbersicht%20%22x%22.txt`,
    );
    // As browsers write it, and as somebody might who means harm.
    const given = await upload(form('x', name));
    expect(given.body['name']).toBe('../../x%22%0D%0ASet-Cookie: a=b');
    const raw = `--b\r\nContent-Disposition: form-data; name="file"; filename="../../x\\"\r\nSet-Cookie: a=b"\r\n\r\nx\r\n--b--\r\n`;
    const answer = await sendRaw(raw, 'multipart/form-data; boundary=b');
    for (const one of [given, answer].filter(({ status }) => status === 201)) {
      const { headers } = await download(one.body['id']);
      expect(headers.get('set-cookie')).toBeNull();
      expect(headers.get('content-disposition')).toMatch(/^attachment; filename="[\w .-]*"; filename\*=UTF-8''[\w%.~!-]*$/);
      expect(headers.get('content-disposition')).not.toMatch(/%2F|%5C/);
    }
  });

  it.each([
    ['..', '_'],
    ['C:\\x\\y.txt', 'C%3A_x_y.txt'],
    ['/etc/passwd', '_etc_passwd'],
    ['.profile', '.profile'],
  ])('of a file named %j is saved where its reader says, as %s', async (name, saved) => {
    const { body } = await upload(form('x', 'x', { name }));
    expect((await download(body['id'])).headers.get('content-disposition')).toMatch(`; filename*=UTF-8''${saved}`);
  });
});

it('the read model is the same when it is built anew from the log, also of what was deleted', async () => {
  const id = await requested();
  const gone = await upload(form('x', 'x', { tags: 'a,b' }), { to: id });
  await upload(form('y', 'y', { tags: 'b' }), { to: id });
  await service.delete(`${artifacts}/${String(gone.body['id'])}`);
  expect((await service.post('/api/v1/projections/artifacts/rebuild')).status).toBe(202);
  const rebuilt = async (): Promise<Json> => (await service.get('/api/v1/projections/artifacts')).body['rebuild'] as Json;
  await eventually(async () => (await rebuilt())['endedAt'] !== null, { what: 'the rebuild' });
  const { phase, differs, digest } = (await rebuilt()) as { phase: string; differs: unknown; digest: { live: string; rebuilt: string } };
  expect([phase, differs, digest.live]).toEqual(['done', [], digest.rebuilt]);
});

describe('a form', () => {
  const part = (disposition: string, content = 'x'): string => `--b\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n${content}\r\n`;
  const file = part('name="file"; filename="x"');
  const multipart = 'multipart/form-data; boundary=b';

  it.each([
    ['no boundary', file, 'multipart/form-data', 400, 'MULTIPART_INVALID'],
    ['an empty field name', `${part('name=""')}${file}--b--\r\n`, multipart, 400, 'MULTIPART_INVALID'],
    ['no field name', `${part('x="y"')}${file}--b--\r\n`, multipart, 400, 'MULTIPART_INVALID'],
    ['1,001 parts', `${part('name="tags"').repeat(1_000)}${file}--b--\r\n`, multipart, 413, 'MULTIPART_TOO_LARGE'],
    ['an early end', file, multipart, 400, 'MULTIPART_INVALID'],
    ['an end within a part', '--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\nabc', multipart, 400, 'MULTIPART_INVALID'],
    ['another boundary', `${file}--b--\r\n`, 'multipart/form-data; boundary=c', 400, 'MULTIPART_INVALID'],
    ['no file', `${part('name="type"', 'log')}--b--\r\n`, multipart, 400, 'FILE_MISSING'],
    ['nothing', '', multipart, 400, undefined],
    ['two files', `${file}${file}--b--\r\n`, multipart, 400, 'MULTIPART_INVALID'],
    ['a file in another field', `${part('name="other"; filename="x"')}--b--\r\n`, multipart, 400, 'MULTIPART_INVALID'],
    ['an unknown field', `${part('name="colour"')}${file}--b--\r\n`, multipart, 400, 'FORM_INVALID'],
    ['an unknown type', `${part('name="type"', 'video')}${file}--b--\r\n`, multipart, 400, 'FORM_INVALID'],
    ['a field of 17 KiB', `${part('name="description"', 'x'.repeat(17 * 1024))}${file}--b--\r\n`, multipart, 413, 'MULTIPART_TOO_LARGE'],
    ['retention for no time', `${file}${part('name="retentionDays"', '0')}--b--\r\n`, multipart, 400, 'FORM_INVALID'],
    ['two ends of its time', `${part('name="retentionDays"', '1')}${part('name="expiresAt"', '2030-01-01T00:00:00Z')}${file}--b--\r\n`, multipart, 400, 'FORM_INVALID'],
    ['JSON in place of a form', '{}', 'application/json', 415, 'MEDIA_TYPE_UNSUPPORTED'],
    ['text in place of a form', 'x', 'text/plain', 415, 'MEDIA_TYPE_UNSUPPORTED'],
  ])('with %s leaves nothing behind', async (_, body, contentType, status, code) => {
    const before = [await stored(), await sequenceNow()];
    const answer = await sendRaw(body, contentType);
    expect([answer.status, code === undefined ? undefined : answer.body['code']]).toEqual([status, code]);
    expect([await stored(), await sequenceNow()]).toEqual(before);
  });

  it('in place of JSON is refused elsewhere', async () => {
    const answer = await fetch(service.url + executions, { method: 'POST', body: form('x', 'x') });
    expect([answer.status, ((await answer.json()) as Json)['code']]).toEqual([415, 'MEDIA_TYPE_UNSUPPORTED']);
  });

  it('may have its fields before and behind the file', async () => {
    const answer = await sendRaw(`${part('name="type"', 'log')}${file}${part('name="tags"', 'a')}${part('name="tags"', 'b')}--b--\r\nepilogue`, multipart);
    expect(answer).toMatchObject({ status: 201, body: { type: 'log', tags: ['a', 'b'], size: 1 } });
  });

  it('may be compressed, and what it holds is what counts', async () => {
    expect(await sendRaw(gzipSync(`${file}--b--\r\n`), multipart, { 'content-encoding': 'gzip' })).toMatchObject({ status: 201, body: { size: 1 } });
    const bomb = gzipSync(`${part('name="file"; filename="x"', 'x'.repeat(6 * MIB))}--b--\r\n`);
    expect(bomb.length).toBeLessThan(MIB / 4);
    expect(await sendRaw(bomb, multipart, { 'content-encoding': 'gzip' })).toMatchObject({ status: 413, body: { code: 'ARTIFACT_TOO_LARGE' } });
  });

  it('with more bytes than may be is refused, and leaves nothing behind', async () => {
    const before = await stored();
    expect(await upload(form(randomBytes(5 * MIB), 'fits'))).toMatchObject({ status: 201 });
    expect(await upload(form(randomBytes(5 * MIB + 1), 'not'))).toMatchObject({ status: 413, body: { code: 'ARTIFACT_TOO_LARGE' } });
    expect(await stored()).toBe(before + 41);
  });

  it('that says it has more bytes than may be is refused before any of them is sent', async () => {
    const before = await stored();
    const headers = { 'content-type': multipart, 'content-length': String(200 * MIB) };
    const announced = httpRequest(`${service.url}${executions}/${execution}/artifacts`, { method: 'POST', headers });
    announced.on('error', () => undefined);
    announced.flushHeaders();
    const [answer] = (await once(announced, 'response')) as [IncomingMessage];
    expect([answer.statusCode, await stored()]).toEqual([413, before]);
    announced.destroy();
  });

  it('that its client gives up leaves nothing behind', async () => {
    const before = [await stored(), await sequenceNow()];
    const abandoned = httpRequest(`${service.url}${executions}/${execution}/artifacts`, { method: 'POST', headers: { 'content-type': multipart } });
    abandoned.on('error', () => undefined);
    abandoned.write('--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n');
    abandoned.write(randomBytes(2 * MIB));
    await eventually(async () => (await stored()) > before[0]! + 10, { what: 'some of it' });
    abandoned.destroy();
    await eventually(async () => (await stored()) === before[0], { what: 'nothing of it' });
    expect(await sequenceNow()).toBe(before[1]);
  });
});

describe('with credentials', () => {
  let guarded: Service;
  let keys: Keys;
  const send = async (path: string, method: string, headers: Record<string, string>, body?: FormData): Promise<{ status: number; headers: Headers; text: string }> => {
    const answer = await fetch(guarded.url + path, { method, headers, ...(body && { body }) });
    return { status: answer.status, headers: answer.headers, text: await answer.text() };
  };
  beforeAll(async () => {
    guarded = await startService({ RUNLEDGER_AUTH_ENABLED: 'true', RUNLEDGER_ARTIFACT_BUCKET_BYTES: String(64 * MIB) });
    keys = await Keys.open(guarded);
  }, 30_000);
  afterAll(async () => {
    keys.stop();
    await guarded.stop();
  });

  const made = async (headers: Record<string, string>, body: FormData, labels: Json = {}): Promise<Json> => {
    const plan = { name: 'files', tasks: [{ id: 'a', runner: 'noop' }] };
    const id = String((await guarded.post(executions, { plan, labels }, headers)).body['id']);
    const { status, text } = await send(`${executions}/${id}/artifacts`, 'POST', headers, body);
    expect(status).toBe(201);
    return JSON.parse(text) as Json;
  };

  it('viewers read, operators write as well, workers neither; nobody without', async () => {
    const [viewer, operator, worker] = await Promise.all((['viewer', 'operator', 'worker'] as const).map((role) => keys.of(role, { tenant: 'default' })));
    const artifact = await made(operator!, form('x', 'x'));
    const [self, files] = [`${artifacts}/${String(artifact['id'])}`, `${executions}/${String(artifact['execution'])}/artifacts`];
    const statuses = async (headers: Record<string, string>): Promise<number[]> => {
      const answers = [send(`${self}/download`, 'GET', headers), send(artifacts, 'GET', headers), send(files, 'POST', headers, form('y', 'y'))];
      return (await Promise.all(answers)).map(({ status }) => status);
    };
    expect(await statuses({})).toEqual([401, 401, 401]);
    expect(await statuses(worker!)).toEqual([403, 403, 403]);
    expect(await statuses(viewer!)).toEqual([200, 200, 403]);
    expect(await statuses(operator!)).toEqual([200, 200, 201]);
    expect((await send(self, 'DELETE', viewer!)).status).toBe(403);
    expect((await send(self, 'DELETE', operator!)).status).toBe(204);
  });

  it('public ones need none, and nothing else is to be had that way', async () => {
    const operator = await keys.of('operator', { tenant: 'default' });
    const [open, closed] = [await made(operator, form('for all', 'x', { public: 'true' })), await made(operator, form('not for all', 'x'))];
    const at = (id: unknown, tenant = 'default'): string => `/api/v1/public/${tenant}/artifacts/${String(id)}`;
    expect(await send(at(open['id']), 'GET', {})).toMatchObject({ status: 200, text: 'for all' });
    expect(await send(at(open['id']), 'GET', { range: 'bytes=4-6' })).toMatchObject({ status: 206, text: 'all' });
    for (const path of [at(closed['id']), at(open['id'], 'other'), at('none'), at('a.b'), at(open['id'], 'a.b')]) expect((await send(path, 'GET', {})).status).toBe(404);
    expect((await send(`${artifacts}/${String(open['id'])}/download`, 'GET', {})).status).toBe(401);
    await send(`${artifacts}/${String(open['id'])}`, 'DELETE', operator);
    expect((await send(at(open['id']), 'GET', {})).status).toBe(404);
  });

  it("those of another tenant's, or of another workspace's, executions are not to be seen", async () => {
    const [one, two] = await Promise.all(['one', 'two'].map((tenant) => keys.of('admin', { tenant })));
    const [here, there] = await Promise.all(['here', 'there'].map((workspace) => keys.of('operator', { tenant: 'one', workspaces: [workspace] })));
    const artifact = await made(here!, form('x', 'x'));
    const self = `${artifacts}/${String(artifact['id'])}`;
    const file = `${executions}/${String(artifact['execution'])}/artifacts`;
    const statuses = async (headers: Record<string, string>): Promise<number[]> =>
      [await send(self, 'GET', headers), await send(`${self}/download`, 'GET', headers), await send(file, 'POST', headers, form('y', 'y'))].map(({ status }) => status);
    expect(await statuses(two!)).toEqual([404, 404, 404]);
    expect(await statuses(there!)).toEqual([403, 403, 403]);
    expect((await send(self, 'DELETE', two!)).status).toBe(404);
    expect((await send(self, 'DELETE', there!)).status).toBe(403);
    const seen = async (headers: Record<string, string>): Promise<number> => (JSON.parse((await send(artifacts, 'GET', headers)).text) as { artifacts: unknown[] }).artifacts.length;
    expect([await seen(one!), await seen(here!), await seen(there!), await seen(two!)]).toEqual([1, 1, 0, 0]);
    expect(await statuses(one!)).toEqual([200, 200, 201]);
  });
});
