import { randomUUID } from 'node:crypto';
import type { ExecutionRef } from '#libs/contracts';
import { type Append, LogError, MemoryLog, load } from '#libs/ledger';
import { createLogger } from '#libs/platform';
import type { ExpiredQuery } from '#libs/projections';
import { eventually } from '#libs/testing';
import { systemClock } from '../../apps/executor/src/clock.js';
import { type EndedExecutions, Retention, type RetentionPolicy } from '../../apps/executor/src/retention.js';
import { Story, end, request, start, task } from '../projector/story.js';

const T0 = Date.parse('2026-01-01T00:00:00Z');
const DAY_MS = 24 * 3_600_000;

let log: MemoryLog;
let asked: ExpiredQuery[];
let tick: () => void;
let deleted: Set<string>;
const running: Retention[] = [];
beforeEach(() => {
  log = new MemoryLog();
  asked = [];
  deleted = new Set();
  log.faults = watching;
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((retention) => retention.stop()));
});

const watching = {
  after: ({ ref, body }: Append): void => {
    if (new TextDecoder().decode(body).includes('"ExecutionDeleted"')) deleted.add(ref.execution);
  },
};

/** What the status read model says, of executions that this test knows. */
const model = (ended: readonly { readonly ref: ExecutionRef; readonly endedAt: string }[]): EndedExecutions => ({
  tenants: () => Promise.resolve([...new Set(ended.map(({ ref }) => ref.tenant))]),
  expired: (query) => {
    asked.push(query);
    const left = ended.filter(({ ref }) => ref.tenant === query.tenant && !deleted.has(ref.execution));
    const beyond = query.keep === undefined ? 0 : left.length - query.keep;
    const executions = left.filter(({ endedAt }, i) => i < beyond || endedAt < (query.endedBefore ?? '')).map(({ ref }) => ref.execution);
    return Promise.resolve({ asOfSeq: log.lastSequence, executions: executions.slice(0, query.limit) });
  },
});

const ended = async (tenant: string, day: number): Promise<{ ref: ExecutionRef; endedAt: string }> => {
  const story = new Story(log, { tenant, execution: randomUUID() }, T0 + day * DAY_MS);
  await (await (await story.tell(request('one', [task('a')]))).tell(start('a'))).tell(end('a', 1, true));
  return { ref: story.ref, endedAt: new Date(T0 + day * DAY_MS + 30).toISOString() };
};

type Given = { readonly policyOf: (tenant: string) => RetentionPolicy; readonly isDue?: () => boolean; readonly of?: MemoryLog };

const begin = (executions: EndedExecutions, { policyOf, isDue = () => true }: Given): void => {
  const clock = { ...systemClock, now: () => T0 + 10 * DAY_MS, every: (_: number, callback: () => void) => ((tick = callback), () => undefined) };
  const retention = new Retention({ log, ended: executions, policyOf, isDue, clock, logger: createLogger('executor', 'silent') });
  running.push(retention);
  retention.start();
};

const deletions = (all: readonly { readonly ref: ExecutionRef }[]): readonly boolean[] => all.map(({ ref }) => deleted.has(ref.execution));

const untilDeleted = (all: readonly { readonly ref: ExecutionRef }[], expected: readonly boolean[]): Promise<unknown> =>
  eventually(() => JSON.stringify(deletions(all)) === JSON.stringify(expected), { what: 'the deletions' });

it('deletes what ended longer ago than is kept, and says by which rule', async () => {
  const all = [await ended('acme', 1), await ended('acme', 2), await ended('acme', 8)];
  begin(model(all), { policyOf: () => ({ days: 5 }) });
  await untilDeleted(all, [true, true, false]);
  const { state } = await load(log, all[0]!.ref);
  expect(state.deleted).toMatchObject({ by: 'retention', reason: 'kept are 5 days' });
  expect(asked[0]).toMatchObject({ endedBefore: new Date(T0 + 5 * DAY_MS).toISOString() });
});

it('keeps of each tenant what its own policy says', async () => {
  const all = [await ended('acme', 1), await ended('acme', 2), await ended('other', 1), await ended('free', 1)];
  const policies: Readonly<Record<string, RetentionPolicy>> = { acme: { executions: 1 }, other: { executions: 0, days: 100 } };
  begin(model(all), { policyOf: (tenant) => policies[tenant] ?? {} });
  await untilDeleted(all, [true, false, true, false]);
  expect(new Set(asked.map(({ tenant }) => tenant))).toEqual(new Set(['acme', 'other']));
});

it('goes on page by page, each behind the deletions before it', async () => {
  const all = await Promise.all(Array.from({ length: 600 }, () => ended('acme', 1)));
  begin(model(all), { policyOf: () => ({ days: 1 }) });
  await eventually(() => asked.length === 3, { what: 'the last page', timeoutMs: 20_000 });
  expect(deletions(all).every(Boolean)).toBe(true);
  const [, second] = asked;
  expect(second?.minSeq).toBeGreaterThan(600 * 3);
}, 30_000);

it('does nothing where it is another executor’s turn, and begins when it is its own', async () => {
  const all = [await ended('acme', 1)];
  let isDue = false;
  begin(model(all), { policyOf: () => ({ days: 1 }), isDue: () => isDue });
  expect(deletions(all)).toEqual([false]);
  expect(asked).toEqual([]);
  isDue = true;
  tick();
  await untilDeleted(all, [true]);
});

it('waits for its next turn where nobody answers, or the log is away, and leaves out what is broken', async () => {
  const all = [await ended('acme', 1), await ended('acme', 2)];
  const [broken, fine] = all;
  let isAway = true;
  const answers = model(all);
  begin({ ...answers, tenants: () => (isAway ? Promise.resolve(undefined) : answers.tenants()) }, { policyOf: () => ({ days: 1 }) });
  isAway = false;
  log.faults = {
    before: () => {
      throw new LogError('LOG_UNAVAILABLE', 'away');
    },
  };
  await eventually(
    () => {
      tick();
      return asked.length > 0;
    },
    { what: 'a try' },
  );
  await log.purge(broken!.ref, (await log.history(broken!.ref))[2]!.sequence);
  log.faults = watching;
  await eventually(
    () => {
      tick();
      return deleted.has(fine!.ref.execution);
    },
    { what: 'the deletion' },
  );
  expect(await log.history(broken!.ref)).toHaveLength(1);
});
