import type { Event, PlanTask } from '#libs/contracts';
import { MemoryLog, load, seal } from '#libs/ledger';
import type { StoredCommit } from '#libs/ledger';
import type { Effect } from './effects.js';
import type { Done } from './faults.js';
import type { History } from './history.js';
import { Model } from '../simulation/model.js';
import { ofEffects, ofLosses } from './judgement.js';
import { recoveryOf } from './recovery.js';

const nothing: History = { commits: [], models: new Map(), buried: new Map(), torn: new Set(), complaints: [] };
const ref = { tenant: 'default', execution: 'x' };
const T0 = Date.parse('2026-01-01T00:00:00.000Z');
const task: PlanTask = { id: 'a', runner: 'command', input: {}, dependsOn: [] };
const plan = { name: 'x', tasks: [task] };

const event = (type: string, data: object): Event => ({ type, at: new Date(T0).toISOString(), cause: 'x', actor: 'x', correlationId: 'x', data }) as Event;
const requested = event('ExecutionRequested', { plan, name: 'x', labels: {}, input: {}, dialect: 'canonical' });
const started = (attempt: number, executor = 'first'): Event => event('TaskStarted', { taskId: 'a', attempt, executor });
const lost = (attempt: number): Event => event('TaskFailed', { taskId: 'a', attempt, error: { code: 'ATTEMPT_LOST', message: 'lost', retryable: true }, final: false });
const completed = (attempt: number): Event => event('TaskCompleted', { taskId: 'a', attempt, result: {} });

/** A log of these events, a commit each, a second apart. */
const logOf = async (...events: readonly Event[]): Promise<readonly StoredCommit[]> => {
  let now = T0;
  const log = new MemoryLog(() => (now += 1_000));
  for (const each of events) {
    const execution = await load(log, ref);
    const { commit, body } = seal(execution, [each]);
    await log.append({ ref, id: commit.id, body, expected: execution.sequence });
  }
  return await log.history(ref);
};

const effect = (attempt: number, more: Partial<Effect> = {}): Effect => ({
  kind: 'command',
  execution: 'x',
  taskId: 'a',
  attempt,
  executor: 'first',
  beganAt: T0,
  endedAt: T0 + 100,
  isBeside: false,
  ...more,
});

const kill = (victim: string, at: number): Done => ({ kind: 'kill', victim, of: victim === 'nats-server' ? 'nats-server' : 'executor', at, until: at + 500 });
const incarnations = new Map([['first', 'executor-1']]);

const judged = async (events: readonly Event[], effects: readonly Effect[], faults: readonly Done[] = []): Promise<readonly string[]> => {
  const commits = await logOf(requested, ...events);
  const model = new Model();
  for (const each of commits.flatMap(({ commit }) => commit.events)) model.take(each);
  return [...ofEffects({ ...nothing, commits, models: new Map([['x', model]]) }, effects, faults, incarnations)];
};

describe('side effects', () => {
  it('are as they have to be when each attempt of the log was run once, beside none but one that was given up', async () => {
    const second = effect(2, { executor: 'second', isBeside: true });
    expect(await judged([started(1), lost(1), started(2, 'second'), completed(2)], [effect(1), second])).toEqual([]);
  });

  it.each<[string, readonly Event[], readonly Effect[], RegExp]>([
    ['an attempt that is run twice', [started(1), completed(1)], [effect(1), effect(1)], /run twice/],
    ['an attempt that nobody has decided on', [started(1), completed(1)], [effect(1), effect(2)], /its start is not in the log/],
    ['an attempt that another executor runs', [started(1), completed(1)], [effect(1, { executor: 'second' })], /was run by second, and is first's/],
    ['an attempt beside one that goes on', [started(1), started(2)], [effect(1), effect(2, { isBeside: true })], /beside another attempt that nobody had given up/],
    ['a result of nothing', [started(1), completed(1)], [], /completed, and nothing was done/],
    ['a result before the end', [started(1), completed(1)], [effect(1, { endedAt: undefined })], /completed, and never came to its end/],
  ])('show %s', async (_what, events, effects, seen) => {
    expect(await judged(events, effects)).toEqual([expect.stringMatching(seen)]);
  });

  it('show a command that its killed executor has left behind', async () => {
    const faults = [kill('executor-1', T0 + 1_000)];
    expect(await judged([started(1), lost(1)], [effect(1, { endedAt: T0 + 1_500 })], faults)).toEqual([]);
    expect(await judged([started(1), lost(1)], [effect(1, { endedAt: T0 + 9_000 })], faults)).toEqual([expect.stringMatching(/went on for 8000 ms/)]);
  });
});

it('a loss shows when nothing was done to the executor of the attempt while it ran', async () => {
  const commits = await logOf(requested, started(1), lost(1));
  const losses = (faults: readonly Done[]): readonly string[] => [...ofLosses({ ...nothing, commits }, faults, incarnations)];
  expect(losses([kill('executor-1', T0 + 2_500)])).toEqual([]);
  const seen = [expect.stringMatching(/given up for lost, and nothing was done to executor-1/)];
  expect(losses([kill('executor-1', T0 + 500)])).toEqual(seen);
  expect(losses([kill('nats-server', T0 + 2_500)])).toEqual(seen);
});

describe('recovery', () => {
  it('is counted from a kill to the next commit, or from the end of what else kept the broker from it', async () => {
    const commits = await logOf(requested, started(1), lost(1));
    const gateway: Done = { kind: 'kill', victim: 'gateway-1', of: 'gateway', at: T0 + 2_100, until: T0 + 2_200 };
    const pause: Done = { kind: 'pause', victim: 'nats-server', of: 'nats-server', at: T0 + 2_200, until: T0 + 2_900 };
    expect(recoveryOf(commits, [gateway], incarnations).commits.get('gateway')).toEqual({ count: 1, median: 900, worst: 900 });
    expect(recoveryOf(commits, [gateway, pause], incarnations).commits.get('gateway')).toEqual({ count: 1, median: 100, worst: 100 });
    expect(recoveryOf(commits, [kill('nats-server', T0 + 3_500)], incarnations).commits.size).toBe(0);
  });

  it('of what an executor was running is counted to the next event of that task', async () => {
    const commits = await logOf(requested, started(1), requested, lost(1), started(2, 'second'));
    expect(recoveryOf(commits, [kill('executor-1', T0 + 2_100)], incarnations).orphans).toEqual({ count: 1, median: 1_900, worst: 1_900 });
    expect(recoveryOf(commits, [kill('executor-2', T0 + 2_100)], incarnations).orphans.count).toBe(0);
  });
});
