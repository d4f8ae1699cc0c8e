import type { ExecutionRef } from '#libs/contracts';
import { type Command, decide } from '#libs/execution';
import { MemoryLog, append, load } from '#libs/ledger';
import { type ExecutionDetail, ExecutionView } from '#libs/projections';
import { T0, cancel, fail, iso, pause, request, resume, start, succeed, task } from '#libs/testing';
import { ExecutionReads } from './execution-reads.js';
import { Problem } from './problem.js';
import type { ReadAt } from './request-query.js';

const ref: ExecutionRef = { tenant: 't', execution: 'x' };
const fromStart = { sequence: 0, index: 0 };

/** Every way to read one execution. */
const everyRead = (of: ExecutionRef, at: ReadAt): readonly (() => Promise<unknown>)[] => [
  () => reads.detail(of, at),
  () => reads.tasks(of, at),
  () => reads.clarifications(of, at),
  () => reads.why(of, at),
  () => reads.events(of, fromStart, 10, at),
];

/** A projection that is behind: it knows nothing. */
const behind = {
  execution: () => Promise.resolve({ asOfSeq: 0, found: undefined }),
  tasks: () => Promise.resolve({ asOfSeq: 0, found: undefined }),
  clarifications: () => Promise.resolve({ asOfSeq: 0, found: undefined }),
};

let now: number;
let log: MemoryLog;
let reads: ExecutionReads;
beforeEach(() => {
  now = T0;
  log = new MemoryLog(() => now);
  reads = new ExecutionReads(log, behind, () => Promise.resolve(new Set(['e1'])));
});

/** Commands one second after another, each in a commit of its own. */
const tell = async (to: ExecutionRef, ...commands: readonly Command[]): Promise<void> => {
  for (const [index, command] of commands.entries()) {
    now += 1_000;
    const execution = await load(log, to);
    const context = { now, cause: `${now}-${index}`, actor: 'test', correlationId: 'c' };
    await append(log, execution, decide(command, execution.state, context));
  }
};

const story = [request([task('a', { retry: { maxAttempts: 2, delayMs: 500 } }), task('b', { dependsOn: ['a'] })]), start('a'), fail('a'), pause, resume];
const ending = [start('a'), succeed('a', 2), start('b'), succeed('b')];

describe('reading now', () => {
  it('never misses: what the projection does not know is folded from the log', async () => {
    await tell(ref, request([task('a')]), pause);
    expect(await reads.detail(ref)).toMatchObject({ id: 'x', status: 'paused', version: 2, sequence: 2, asOfSeq: 2 });
    expect(await reads.tasks(ref)).toMatchObject({ tasks: [{ id: 'a', runner: 'command', status: 'pending' }], asOfSeq: 2 });
  });

  it('prefers the projection, and says as of when', async () => {
    const found = { id: 'x', status: 'running' } as ExecutionDetail;
    const known = { ...behind, execution: () => Promise.resolve({ asOfSeq: 9, found }) };
    expect(await new ExecutionReads(log, known, () => Promise.resolve(new Set(['e1']))).detail(ref)).toEqual({ ...found, asOfSeq: 9 });
  });

  it('goes on while the projector is away', async () => {
    const away = (): Promise<never> => Promise.reject(new Problem(503, 'PROJECTION_UNAVAILABLE', 'away'));
    await tell(ref, request([task('a')]));
    const alone = new ExecutionReads(log, { execution: away, tasks: away, clarifications: away }, () => Promise.resolve(new Set(['e1'])));
    expect(await alone.detail(ref)).toMatchObject({ status: 'pending', asOfSeq: 1 });
    expect(await alone.tasks(ref)).toMatchObject({ tasks: [{ id: 'a' }] });
  });

  it('does not answer from a projection that is behind minSeq', async () => {
    await tell(ref, request([task('a')]), pause);
    const old = { ...behind, execution: () => Promise.resolve({ asOfSeq: 1, found: { status: 'pending' } as ExecutionDetail }) };
    const late = new ExecutionReads(log, old, () => Promise.resolve(new Set(['e1'])));
    expect(await late.detail(ref, { minSeq: 1 })).toMatchObject({ status: 'pending', asOfSeq: 1 });
    expect(await late.detail(ref, { minSeq: 2 })).toMatchObject({ status: 'paused', asOfSeq: 2 });
  });

  it('knows of everything up to the end of the log, whatever other executions wrote there', async () => {
    await tell(ref, request([task('a')]));
    await tell({ tenant: 't', execution: 'other' }, request([task('a')]));
    expect(await reads.detail(ref, { minSeq: 2 })).toMatchObject({ sequence: 1, asOfSeq: 2 });
  });

  it('says of a minSeq that the log has not reached when to ask again', async () => {
    await tell(ref, request([task('a')]));
    const notYet = { status: 503, code: 'SEQUENCE_NOT_REACHED', extra: { retryAfterSeconds: 1 } };
    for (const read of everyRead(ref, { minSeq: 2 })) await expect(read()).rejects.toMatchObject(notYet);
    await expect(reads.timeOf({ minSeq: 2 })).rejects.toMatchObject(notYet);
  });

  it('says of an execution that nobody requested that it is not there', async () => {
    const notFound = { status: 404, code: 'EXECUTION_NOT_FOUND' };
    const nobody = { tenant: 't', execution: 'nobody' };
    for (const read of everyRead(nobody, {})) await expect(read()).rejects.toMatchObject(notFound);
    await expect(reads.mustExist(nobody)).rejects.toMatchObject(notFound);
  });
});

describe('reading as of an earlier sequence or time', () => {
  it('answers what was known then, at every commit, by sequence and by time alike', async () => {
    await tell(ref, ...story, ...ending);
    const history = await log.history(ref);
    expect(history).toHaveLength(story.length + ending.length);
    const view = new ExecutionView(ref);
    const statuses = [];
    for (const stored of history) {
      view.apply(stored);
      const { sequence } = stored;
      const time = Date.parse(stored.storedAt);
      expect(await reads.detail(ref, { asOf: { sequence } })).toEqual({ ...view.execution, asOfSeq: sequence });
      expect(await reads.detail(ref, { asOf: { time } })).toEqual({ ...view.execution, asOfSeq: sequence });
      expect(await reads.tasks(ref, { asOf: { sequence } })).toEqual({ tasks: view.taskViews, asOfSeq: sequence });
      expect(await reads.tasks(ref, { asOf: { time: time + 999 } })).toEqual({ tasks: view.taskViews, asOfSeq: sequence });
      const { events } = await reads.events(ref, fromStart, 1_000, { asOf: { sequence } });
      expect(events[events.length - 1]?.position).toBe(`${sequence}/${stored.commit.events.length - 1}`);
      expect((await reads.events(ref, fromStart, 1_000, { asOf: { time } })).events).toEqual(events);
      expect(await reads.timeOf({ asOf: { sequence } })).toBe(time);
      statuses.push(view.execution?.status);
    }
    expect(statuses).toEqual(['pending', 'running', 'running', 'paused', 'running', 'running', 'running', 'running', 'completed']);
  });

  it('asks the log and not the projection, which only knows now', async () => {
    await tell(ref, request([task('a')]), pause);
    const found = { status: 'paused' } as ExecutionDetail;
    const known = { ...behind, execution: () => Promise.resolve({ asOfSeq: 2, found }) };
    const both = new ExecutionReads(log, known, () => Promise.resolve(new Set(['e1'])));
    expect(await both.detail(ref, { asOf: { sequence: 1 } })).toMatchObject({ status: 'pending', asOfSeq: 1 });
  });

  it('knows no execution before it was requested, by whatever is read', async () => {
    await tell({ tenant: 't', execution: 'earlier' }, request([task('a')]));
    await tell(ref, request([task('a')]));
    for (const asOf of [{ sequence: 1 }, { time: T0 + 1_500 }]) {
      const notFound = { status: 404, code: 'EXECUTION_NOT_FOUND', message: expect.stringContaining('as of') as string };
      for (const read of everyRead(ref, { asOf })) await expect(read()).rejects.toMatchObject(notFound);
      await expect(reads.mustExist(ref, { asOf })).rejects.toMatchObject(notFound);
    }
  });

  it('refuses a sequence that the log has not reached', async () => {
    await tell(ref, request([task('a')]));
    const beyond = { status: 400, code: 'QUERY_INVALID' };
    for (const read of everyRead(ref, { asOf: { sequence: 2 } })) await expect(read()).rejects.toMatchObject(beyond);
    await expect(reads.timeOf({ asOf: { sequence: 2 } })).rejects.toMatchObject(beyond);
  });
});

it('pages through events by position without a gap or a repeat, across commits of several events', async () => {
  await tell(ref, ...story, cancel('immediate'));
  const whole = (await reads.events(ref, fromStart, 1_000)).events;
  expect(whole.length).toBeGreaterThan((await log.head()).sequence);

  const paged = [];
  let after = fromStart;
  for (let next: string | null = ''; next !== null && paged.length <= whole.length; ) {
    const page = await reads.events(ref, after, 1);
    paged.push(...page.events);
    next = page.next;
    const [sequence = 0, index = 0] = (next ?? '').split('/').map(Number);
    after = { sequence, index };
  }
  expect(paged).toEqual(whole);
  expect(new Set(whole.map(({ id }) => id)).size).toBe(whole.length);
});

it('says why nothing happens as of an earlier sequence, by the clock of that commit', async () => {
  await tell(ref, ...story, ...ending);
  expect(await reads.why(ref)).toMatchObject({ status: 'completed', waitsFor: [], ended: { sequence: 9 }, asOfSeq: 9 });
  const asOf = { sequence: 3 };
  const why = await reads.why(ref, { asOf });
  expect(why).toMatchObject({ status: 'running', ended: null, asOfSeq: 3 });
  expect(why.waitsFor[0]).toMatchObject({ kind: 'retry', task: 'a', since: { sequence: 3 }, until: iso(3_500) });
});

it.each([
  ['a time', { time: T0 + 3_600 }],
  ['the sequence of another execution', { sequence: 4 }],
])('knows as of %s that the time of a retry had come by then', async (_, asOf) => {
  await tell(ref, ...story.slice(0, 3));
  await tell({ ...ref, execution: 'y' }, request([task('a')]));
  expect((await reads.why(ref, { asOf: { sequence: 3 } })).waitsFor[0]?.kind).toBe('retry');
  expect((await reads.why(ref, { asOf })).waitsFor[0]).toMatchObject({ kind: 'executor', task: 'a', since: { sequence: 3 } });
});
