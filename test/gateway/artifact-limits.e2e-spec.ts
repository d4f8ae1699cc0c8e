import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ArtifactStore } from '#libs/jetstream';
import { eventually } from '#libs/testing';
import { artifactHints } from '../../apps/executor/src/artifact-hints.js';
import { ArtifactKeeper } from '../../apps/executor/src/artifact-keeper.js';
import { systemClock } from '../../apps/executor/src/clock.js';
import { type Answer, type Json, type Service, executions, startService } from './service.js';

const LIMIT = 100_000;
const DAY_MS = 86_400_000;
const artifacts = '/api/v1/artifacts';

let folder: string;
let service: Service;
let execution: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'runledger-limits-'));
  const file = join(folder, 'tenants.json');
  writeFileSync(file, JSON.stringify({ default: { limits: { artifactBytes: LIMIT } } }));
  service = await startService({ RUNLEDGER_TENANTS: file });
  const { body } = await service.post(executions, { plan: { name: 'files', tasks: [{ id: 'a', runner: 'command', input: { argv: ['true'] } }] } });
  execution = String(body['id']);
}, 30_000);
afterAll(async () => {
  await service.stop();
  rmSync(folder, { recursive: true });
});

const upload = async (bytes: number, fields: Readonly<Record<string, string>> = {}, headers: Record<string, string> = {}): Promise<Answer> => {
  const body = new FormData();
  for (const [field, value] of Object.entries(fields)) body.append(field, value);
  body.append('file', new Blob([Buffer.alloc(bytes)]), 'x');
  const answer = await fetch(`${service.url}${executions}/${execution}/artifacts`, { method: 'POST', body, headers });
  return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Json };
};

/** By what the log says. */
const listed = async (): Promise<readonly Json[]> =>
  (await service.get(`${artifacts}?limit=200&minSeq=${(await service.log.head()).sequence}`)).body['artifacts'] as Json[];

const remove = async (): Promise<void> => {
  for (const { id } of await listed()) expect((await service.delete(`${artifacts}/${String(id)}`)).status).toBe(204);
  await listed();
};

const objects = async (): Promise<number> => {
  let count = 0;
  for await (const page of new ArtifactStore(service.nats).wholeObjects('default')) count += page.length;
  return count;
};

const tooMuch = { status: 413, body: { code: 'TENANT_LIMIT', detail: expect.stringContaining(`may have artifacts of ${LIMIT} bytes`) as string } };

describe('the bytes that artifacts of a tenant may have', () => {
  afterEach(remove);

  it('are taken to the last one; more is cut off and leaves nothing, and what is deleted makes room', async () => {
    const first = await upload(LIMIT - 10);
    expect(first.status).toBe(201);
    expect(await upload(11)).toMatchObject(tooMuch);
    expect((await upload(10)).status).toBe(201);
    expect(await upload(1)).toMatchObject(tooMuch);
    expect(await objects()).toBe(2);
    await service.delete(`${artifacts}/${String(first.body['id'])}`);
    await listed();
    expect((await upload(LIMIT - 10)).status).toBe(201);
  });

  it('do not keep an upload from being answered again that came through', async () => {
    const headers = { 'idempotency-key': 'all' };
    const first = await upload(LIMIT, {}, headers);
    expect(first.status).toBe(201);
    expect(await upload(LIMIT, {}, headers)).toMatchObject({ status: 201, body: first.body });
    expect(await upload(LIMIT + 1, {}, headers)).toMatchObject({ status: 409, body: { code: 'IDEMPOTENCY_KEY_REUSED' } });
    expect(await objects()).toBe(1);
  });

  it('are never passed by uploads at once', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => upload(30_000)));
    const taken = answers.filter(({ status }) => status === 201);
    expect(taken.length).toBeGreaterThan(0);
    for (const refused of answers.filter(({ status }) => status !== 201)) expect(refused).toMatchObject(tooMuch);
    expect((await listed()).map(({ size }) => Number(size)).reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(LIMIT);
    // Nothing of those that were refused is taken any more.
    for (let n = taken.length; n < 3; n++) expect((await upload(30_000)).status).toBe(201);
    expect(await upload(30_000)).toMatchObject(tooMuch);
    expect(await objects()).toBe(3);
  });
});

it('an artifact whose time is over goes by what the projector says, with its bytes, and makes room', async () => {
  const soon = String((await upload(LIMIT - 1_000, { retentionDays: '1' })).body['id']);
  const later = String((await upload(1_000, { retentionDays: '3' })).body['id']);
  const warnings: unknown[] = [];
  const keeper = new ArtifactKeeper({
    log: service.log,
    store: new ArtifactStore(service.nats),
    hints: artifactHints(service.nats),
    owns: () => true,
    incarnation: 'x',
    clock: { ...systemClock, now: () => Date.now() + DAY_MS + 1_000 },
    warn: (error) => warnings.push(error),
  });
  await listed();
  await keeper.expire();
  expect((await listed()).map(({ id }) => id)).toEqual([later]);
  expect((await service.get(`${artifacts}/${soon}`)).body).toMatchObject({ status: 404, code: 'ARTIFACT_NOT_FOUND' });
  expect((await fetch(`${service.url}${artifacts}/${soon}/download`)).status).toBe(404);
  const { body } = await service.get(`${executions}/${execution}/events`);
  expect((body['events'] as Json[]).at(-1)).toMatchObject({ type: 'ArtifactExpired', actor: 'executor/x', data: { artifactId: soon } });
  // By now all bytes are old: those that are named stay.
  await keeper.sweep();
  expect([await objects(), warnings]).toEqual([1, []]);
  await eventually(async () => (await upload(LIMIT - 1_000)).status === 201, { what: 'its room' });
});
