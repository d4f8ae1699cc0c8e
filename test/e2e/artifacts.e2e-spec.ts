import { createHash, randomBytes } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { eventually } from '#libs/testing';
import { type Platform, startPlatform } from './platform.js';
import { untilStatus } from './until-status.js';

const MIB = 1024 * 1024;
/** The same with 2 GiB: ARTIFACT_MIB=2048. */
const LARGE_MIB = Number(process.env['ARTIFACT_MIB'] ?? 192);

type Artifact = { readonly id: string; readonly name: string; readonly sha256: string; readonly size: number; readonly task: string | null; readonly step: string | null };

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform({ RUNLEDGER_LOG_MAX_BYTES: String(512 * MIB), RUNLEDGER_ARTIFACT_BUCKET_BYTES: String((LARGE_MIB + 256) * MIB) });
}, 60_000);
afterAll(() => platform.stop());

const run = async (...tasks: readonly object[]): Promise<string> => String((await platform.post('/api/v1/executions', { plan: { name: 'files', tasks } })).body['id']);

const ended = async (): Promise<string> => {
  const id = await run({ id: 'a', runner: 'noop' });
  await untilStatus(platform, id, 'completed', 10_000);
  return id;
};

/** As of the execution's last event, by what the log itself says. */
const listed = async (execution: string): Promise<readonly Artifact[]> => {
  const events = (await platform.get(`/api/v1/executions/${execution}/events?limit=1000`)).body['events'] as { position: string }[];
  const sequence = Number.parseInt(events.at(-1)?.position ?? '', 10);
  return (await platform.get(`/api/v1/artifacts?execution=${execution}&limit=200&minSeq=${sequence}`)).body['artifacts'] as Artifact[];
};

const upload = async (execution: string, bytes: Uint8Array, headers: Record<string, string> = {}): Promise<Response> => {
  const body = new FormData();
  body.append('file', new Blob([bytes]), 'x');
  return await fetch(`${platform.url}/api/v1/executions/${execution}/artifacts`, { method: 'POST', body, headers });
};

const download = async (id: string): Promise<Buffer> => Buffer.from(await (await fetch(`${platform.url}/api/v1/artifacts/${id}/download`)).arrayBuffer());

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Bytes of memory that the gateway has, and the most it has had. */
const memoryOf = (app: string): { readonly now: number; readonly most: number } => {
  const { pid } = platform.processes().find(({ command }) => command.includes(`apps/${app}/`))!;
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const read = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024;
  return { now: read('VmRSS'), most: read('VmHWM') };
};

const head = '--b\r\nContent-Disposition: form-data; name="file"; filename="large"\r\n\r\n';
const multipart = 'multipart/form-data; boundary=b';

it('files that a task names, or that fit its patterns, are its artifacts, and nothing that a link leads to', async () => {
  const script = 'mkdir -p out/deep; printf one > out/a.txt; printf two > out/deep/b.txt; printf three > c.txt; ln -s /etc/passwd out/link; echo STEP_START:first; echo STEP_START:pack; echo ARTIFACT:c.txt:the third; echo STEP_COMPLETE:pack; echo ARTIFACT:out/link';
  const id = await run({ id: 'make', runner: 'command', input: { shell: 'sh', script }, artifacts: ['out/**'] });
  await untilStatus(platform, id, 'completed', 20_000);
  const artifacts = await listed(id);
  expect(artifacts.map(({ name, task }) => `${task} ${name}`).toSorted()).toEqual(['make c.txt', 'make out/a.txt', 'make out/deep/b.txt']);
  expect(artifacts.map(({ name, step }) => `${name} ${step}`).toSorted()).toEqual(['c.txt make.1.2', 'out/a.txt null', 'out/deep/b.txt null']);
  const ofStep = (await platform.get(`/api/v1/artifacts?execution=${id}&step=make.1.2`)).body['artifacts'] as Artifact[];
  expect(ofStep.map(({ name }) => name)).toEqual(['c.txt']);
  const contents: Readonly<Record<string, string>> = { 'out/a.txt': 'one', 'out/deep/b.txt': 'two', 'c.txt': 'three' };
  for (const { id: artifact, name, sha256: hash } of artifacts) {
    const bytes = await download(artifact);
    expect([String(bytes), sha256(bytes)]).toEqual([contents[name], hash]);
  }
});

it('an execution whose plan asks for it keeps all its output as an artifact, also across the death of its executor', async () => {
  const script = 'seq -f "line %.0f" 20000; echo TOKEN-IN-LINE >&2; printf "no end"';
  const plan = { name: 'loud', logArtifact: true, tasks: [{ id: 'loud', runner: 'command', input: { shell: 'sh', script } }, { id: 'last', runner: 'command', dependsOn: ['loud'], input: { argv: ['echo', 'done'] } }] };
  const ids = await Promise.all(Array.from({ length: 6 }, async () => String((await platform.post('/api/v1/executions', { plan })).body['id'])));
  await untilStatus(platform, ids[0]!, 'completed', 30_000);
  await platform.killAndAwaitReturn('apps/executor/');
  for (const id of ids) {
    await untilStatus(platform, id, 'completed', 60_000);
    const [log, ...others] = await eventually(async () => ((await listed(id)).length > 0 ? await listed(id) : false), { timeoutMs: 60_000, what: `the log of ${id}` });
    expect([log?.name, others]).toEqual(['output.log', []]);
    const text = String(await download(log!.id));
    const lines = await (await fetch(`${platform.url}/api/v1/executions/${id}/output/lines`)).text();
    expect(lines).toContain('TOKEN-IN-LINE');
    const told = lines.trim().split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as { time?: string; task: string; attempt: number; stream: string; text: string }]));
    expect(text).toBe(told.flatMap(({ time, task, attempt, stream, text: own }) => (time === undefined ? [] : [`${time} ${task}/${attempt} ${stream} ${own}\n`])).join(''));
    expect(text).toMatch(/ last\/\d+ stdout done\n/);
    expect(sha256(Buffer.from(text))).toBe(log!.sha256);
  }
}, 120_000);

it('are put, listed, got and deleted on the command line', async () => {
  const id = await ended();
  const [file, copy] = [join(platform.home, 'file.csv'), join(platform.home, 'copy.csv')];
  writeFileSync(file, 'a,b\n1,2\n');
  const cli = (...args: string[]): string => {
    const { stdout, stderr, status } = spawnSync(process.execPath, ['dist/apps/cli/src/main.js', 'artifacts', ...args, '--url', platform.url], { encoding: 'utf8' });
    expect([stderr, status]).toEqual(['', 0]);
    return stdout.trim();
  };
  const artifact = cli('put', id, file, '--tag', 'x', '--retention-days', '3');
  expect((await listed(id)).map(({ id: known, name }) => [known, name])).toEqual([[artifact, 'file.csv']]);
  expect(cli('list', '--execution', id, '--tag', 'x')).toMatch(new RegExp(`${artifact} +file.csv +data +8 `));
  expect(cli('get', artifact)).toBe('a,b\n1,2');
  cli('get', artifact, copy);
  expect(readFileSync(copy, 'utf8')).toBe('a,b\n1,2\n');
  cli('delete', artifact);
  expect(await listed(id)).toEqual([]);
});

it(`${LARGE_MIB} MiB pass through both ways in little memory, and are the same at the end`, async () => {
  const id = await ended();
  const piece = randomBytes(MIB);
  const before = memoryOf('gateway');
  const hash = createHash('sha256');
  const answer = await new Promise<string>((resolve, reject) => {
    const sending = httpRequest(`${platform.url}/api/v1/executions/${id}/artifacts`, { method: 'POST', headers: { 'content-type': multipart } }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part)).on('end', () => resolve(String(Buffer.concat(parts))));
    });
    sending.on('error', reject);
    void (async () => {
      sending.write(head);
      for (let i = 0; i < LARGE_MIB; i++) {
        const next = Buffer.from(piece);
        next.writeUInt32BE(i);
        hash.update(next);
        if (!sending.write(next)) await new Promise((resume) => sending.once('drain', resume));
      }
      sending.end('\r\n--b--\r\n');
    })();
  });
  const { id: artifact, size, sha256: stored } = JSON.parse(answer) as Artifact;
  const sent = hash.digest('hex');
  expect([size, stored]).toEqual([LARGE_MIB * MIB, sent]);
  const back = createHash('sha256');
  const response = await fetch(`${platform.url}/api/v1/artifacts/${artifact}/download`);
  for await (const part of response.body as unknown as AsyncIterable<Uint8Array>) back.update(part);
  expect(back.digest('hex')).toBe(sent);
  const after = memoryOf('gateway');
  process.stdout.write(`gateway: ${Math.round(before.now / MIB)} MiB before ${LARGE_MIB} MiB both ways, ${Math.round(after.most / MIB)} MiB at most\n`);
  expect(after.most - before.now).toBeLessThan(160 * MIB);
  expect((await fetch(`${platform.url}/api/v1/artifacts/${artifact}`, { method: 'DELETE' })).status).toBe(204);
}, 600_000);

it('a gateway that is killed in an upload leaves nothing to be seen, and takes the same again', async () => {
  const id = await ended();
  const nats = await connect(platform.natsOptions('provisioner'));
  const manager = await jetstream(nats).jetstreamManager();
  const stored = async (): Promise<number> => (await manager.streams.info('OBJ_artifacts_default')).state.messages;
  const before = await stored();
  const cutOff = httpRequest(`${platform.url}/api/v1/executions/${id}/artifacts`, { method: 'POST', headers: { 'content-type': multipart } });
  cutOff.on('error', () => undefined);
  cutOff.write(head);
  cutOff.write(randomBytes(4 * MIB));
  await eventually(async () => (await stored()) > before + 8, { what: 'a part of it' });
  await platform.killAndAwaitReturn('apps/gateway/');
  await eventually(() => platform.get('/readyz').then(({ status }) => status === 200, () => false), { timeoutMs: 30_000, what: 'the gateway' });
  expect(await listed(id)).toEqual([]);
  const { body } = await platform.get(`/api/v1/executions/${id}/events`);
  expect((body['events'] as { type: string }[]).map(({ type }) => type)).not.toContain('ArtifactCreated');

  const bytes = randomBytes(MIB);
  const answer = (await (await upload(id, bytes)).json()) as Artifact;
  expect(sha256(await download(answer.id))).toBe(sha256(bytes));
  expect((await listed(id)).map(({ id: artifact }) => artifact)).toEqual([answer.id]);
  await nats.close();
}, 90_000);

it('a projector that is killed while it takes them in has each once', async () => {
  const id = await ended();
  const ids = new Set<string>();
  const send = async (n: number): Promise<void> => {
    const answer = await upload(id, randomBytes(100), { 'idempotency-key': `file-${n}` });
    if (answer.status === 201) ids.add(((await answer.json()) as Artifact).id);
  };
  const sending = (async () => {
    for (let n = 0; n < 60; n++) await send(n);
  })();
  await eventually(() => ids.size > 10, { what: 'some of them' });
  await platform.killAndAwaitReturn('apps/projector/');
  await sending;
  expect(ids.size).toBe(60);
  await eventually(() => platform.get(`/api/v1/artifacts?execution=${id}`).then(({ status }) => status === 200), { timeoutMs: 30_000, what: 'the projector' });
  expect((await listed(id)).map((artifact) => artifact.id).toSorted()).toEqual([...ids].toSorted());
}, 90_000);
