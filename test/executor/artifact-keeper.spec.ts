import { randomBytes } from 'node:crypto';
import { artifactOf, keepBytes } from '#libs/artifacts';
import type { ExecutionRef } from '#libs/contracts';
import type { ClientCommand } from '#libs/execution';
import { ArtifactStore } from '#libs/jetstream';
import { load, submit } from '#libs/ledger';
import type { DueAnswer, DueArtifact, DueQuery } from '#libs/projections';
import { eventually } from '#libs/testing';
import { ArtifactKeeper, type KeeperOptions } from '../../apps/executor/src/artifact-keeper.js';
import { systemClock } from '../../apps/executor/src/clock.js';
import { commitFor } from '../contract/commits.js';
import { type Broker, MIB, startBroker } from '../contract/servers.js';

const MINUTE = 60_000;

let broker: Broker;
let store: ArtifactStore;
let ref: ExecutionRef;
/** What the keeper's clock is ahead. */
let aheadMs: number;
let warnings: unknown[];
let executions = 0;
beforeAll(async () => {
  broker = await startBroker({}, { logMaxBytes: 64 * MIB, tenants: ['default'], artifactBucketBytes: 32 * MIB });
  store = new ArtifactStore(broker.nats);
}, 30_000);
afterAll(() => broker.close());
beforeEach(async () => {
  ref = { tenant: 'default', execution: `e${++executions}` };
  aheadMs = 0;
  warnings = [];
  await tell({ type: 'RequestExecution', plan: { name: 'p', tasks: [{ id: 'a', runner: 'noop', input: {}, dependsOn: [] }] }, name: 'p', labels: {}, input: {}, dialect: 'canonical' });
});

let commands = 0;
const tell = (command: ClientCommand): Promise<unknown> =>
  submit(broker.log, ref, command, { now: Date.now(), cause: `command-${++commands}`, actor: 'test', correlationId: 'c' });

async function* bytes(size = 200_000): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(randomBytes(size));
}

const keep = () => keepBytes(store, ref, bytes(), { name: 'x', maxBytes: MIB });

/** An artifact, whose object is answered. */
const add = async (artifactId: string, expiresAt?: number): Promise<string> => {
  const kept = await keep();
  await tell({ type: 'AddArtifact', artifact: artifactOf(kept, { artifactId, name: 'x', ...(expiresAt !== undefined && { expiresAt: new Date(expiresAt).toISOString() }) }) });
  return kept.object;
};

const page = (due: readonly DueArtifact[], next: string | null = null): Pick<DueAnswer, 'due' | 'next'> => ({ due, next });

/** What the projection knows, from the log; what is asked of it may be answered wrongly. */
const keeper = (more: Partial<KeeperOptions['hints']> = {}, owns: KeeperOptions['owns'] = () => true): ArtifactKeeper =>
  new ArtifactKeeper({
    log: broker.log,
    store,
    owns,
    incarnation: 'x1',
    clock: { ...systemClock, now: () => Date.now() + aheadMs },
    warn: (error) => warnings.push(error),
    hints: {
      due: async () => page([...(await load(broker.log, ref)).state.artifacts.keys()].map((id) => ({ ...ref, id, object: objects.get(id) ?? '' }))),
      known: () => Promise.resolve(new Set()),
      ...more,
    },
  });
const objects = new Map<string, string>();

const there = async (): Promise<ReadonlySet<string>> => {
  const all = new Set<string>();
  for await (const page of store.wholeObjects('default')) for (const { object } of page) all.add(object);
  return all;
};
const types = async (): Promise<readonly string[]> => (await broker.log.history(ref)).flatMap(({ commit }) => commit.events.map(({ type }) => type));

describe('an artifact whose time has come', () => {
  it('expires once, whoever does it, and its bytes go', async () => {
    const now = Date.now();
    objects.set('soon', await add('soon', now + MINUTE));
    objects.set('later', await add('later', now + 10 * MINUTE));
    objects.set('never', await add('never'));
    await keeper().expire();
    expect((await types()).filter((type) => type === 'ArtifactExpired')).toEqual([]);
    aheadMs = MINUTE + 1_000;
    await Promise.all([keeper().expire(), keeper().expire(), keeper().expire()]);
    expect((await types()).filter((type) => type === 'ArtifactExpired')).toHaveLength(1);
    expect([...(await load(broker.log, ref)).state.artifacts.keys()]).toEqual(['later', 'never']);
    const left = await there();
    expect(['soon', 'later', 'never'].map((id) => left.has(objects.get(id) ?? ''))).toEqual([false, true, true]);
  });

  it('expires also where its deletion, or its expiry, was known too late', async () => {
    const object = await add('gone', Date.now());
    await tell({ type: 'DeleteArtifact', artifactId: 'gone' });
    const late = keeper({ due: () => Promise.resolve(page([{ ...ref, id: 'gone', object }])) });
    await late.expire();
    expect((await types()).filter((type) => type === 'ArtifactExpired')).toEqual([]);
    expect((await there()).has(object)).toBe(false);
  });

  it('is not held up by one whose execution has a history that is none, which is told', async () => {
    const broken = { ...ref, execution: `${ref.execution}-broken` };
    await broker.log.append(commitFor(broken, 0));
    const object = await add('due', Date.now());
    const both = [{ ...broken, id: 'stuck', object: 'stuck' }, { ...ref, id: 'due', object }];
    await keeper({ due: () => Promise.resolve(page(both)) }).expire();
    expect(await types()).toContain('ArtifactExpired');
    expect(warnings).toHaveLength(1);
  });

  it('is found behind any number of those that are others\' affair, or can\'t expire', async () => {
    const objectOf = new Map<string, string>();
    for (const id of ['1', '2', '3']) objectOf.set(id, await add(id, Date.now()));
    const stranger = { ...ref, execution: 'stranger' };
    const pages = [[{ ...stranger, id: 's', object: 's' }], ['1', '2'].map((id) => ({ ...ref, id, object: objectOf.get(id)! })), [{ ...ref, id: '3', object: objectOf.get('3')! }]];
    const asked: (string | undefined)[] = [];
    const due = ({ cursor }: DueQuery): Promise<Pick<DueAnswer, 'due' | 'next'>> => {
      asked.push(cursor);
      const at = Number(cursor ?? 0);
      return Promise.resolve(page(pages[at]!, at + 1 < pages.length ? String(at + 1) : null));
    };
    await keeper({ due }, ({ execution }) => execution !== 'stranger').expire();
    expect(asked).toEqual([undefined, '1', '2']);
    expect((await types()).filter((type) => type === 'ArtifactExpired')).toHaveLength(3);
    expect((await broker.log.history(stranger))).toEqual([]);
    const left = await there();
    expect([...objectOf.values()].filter((object) => left.has(object))).toEqual([]);
  });

  it('waits for who begins next where an executor stops', async () => {
    const ids = Array.from({ length: 50 }, (_, i) => String(i));
    const due: DueArtifact[] = [];
    for (const id of ids) due.push({ ...ref, id, object: await add(id, Date.now()) });
    const stopping = keeper({ due: () => Promise.resolve(page(due, 'more')) });
    stopping.start();
    await eventually(async () => (await types()).includes('ArtifactExpired'), { what: 'the first to expire' });
    await stopping.stop();
    const expired = (await types()).filter((type) => type === 'ArtifactExpired').length;
    expect(expired).toBeLessThan(50);
    await keeper({ due: () => Promise.resolve(page(due)) }).expire();
    expect((await types()).filter((type) => type === 'ArtifactExpired')).toHaveLength(50);
  });

  it('waits while nobody can say which they are', async () => {
    await add('unknown', Date.now());
    await keeper({ due: () => Promise.resolve(undefined) }).expire();
    expect((await load(broker.log, ref)).state.artifacts.has('unknown')).toBe(true);
  });
});

describe('bytes that nothing names', () => {
  it('are swept once they are old, whole or in part; those of artifacts stay, whatever the projection says', async () => {
    const [named, orphan, deleted] = [await add('named'), (await keep()).object, await add('deleted')];
    await tell({ type: 'DeleteArtifact', artifactId: 'deleted' });
    await broker.nats.connection.request('$O.artifacts_default.C.cut-off', randomBytes(1_000));
    const parts = async (): Promise<readonly string[]> => {
      const started: string[] = [];
      for await (const { object } of store.startedObjects('default', () => false)) started.push(object);
      return started;
    };
    await keeper().sweep();
    expect(await there()).toEqual(expect.objectContaining(new Set([named, orphan, deleted])));
    expect(await parts()).toContain('cut-off');

    aheadMs = 16 * MINUTE;
    await keeper({ known: () => Promise.resolve(undefined) }).sweep();
    expect((await there()).has(orphan)).toBe(true);
    await keeper().sweep();
    const left = await there();
    expect([named, orphan, deleted].map((object) => left.has(object))).toEqual([true, false, false]);
    expect(await parts()).toEqual([...left].toSorted());
    expect(warnings).toEqual([]);
  });
});

it('the bytes of a deleted execution go with it', async () => {
  const objectsOfIt = [await add('one'), await add('two')];
  const { tenant } = ref;
  const other = ref;
  ref = { tenant, execution: `${other.execution}-other` };
  await tell({ type: 'RequestExecution', plan: { name: 'p', tasks: [{ id: 'a', runner: 'noop', input: {}, dependsOn: [] }] }, name: 'p', labels: {}, input: {}, dialect: 'canonical' });
  const kept = await add('three');
  expect(await keeper().purge(other)).toBe(true);
  const left = await there();
  expect([...objectsOfIt, kept].map((object) => left.has(object))).toEqual([false, false, true]);
});
