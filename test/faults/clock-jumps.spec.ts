import { MemoryLog } from '#libs/ledger';
import { eventually } from '#libs/testing';
import { type Clock, systemClock } from '../../apps/executor/src/clock.js';
import { Stage, cluster, heldRunner, noop, task } from '../executor/stage.js';

const TEN_MINUTES_MS = 600_000;

let skewMs: number;
let log: MemoryLog;
let stage: Stage;
const clock: Clock = { ...systemClock, now: () => Date.now() + skewMs };

beforeEach(() => {
  skewMs = 0;
  log = new MemoryLog();
  stage = new Stage(log);
});
afterEach(() => stage.stop());

/** Of each task: the time that was set for it, and when the log says that it came, milliseconds since the epoch. */
const rings = async (ref: Parameters<MemoryLog['history']>[0]): Promise<ReadonlyMap<string, { readonly due: number; readonly at: readonly number[] }>> => {
  const found = new Map<string, { due: number; at: number[] }>();
  for (const event of (await log.history(ref)).flatMap(({ commit }) => commit.events)) {
    if (event.type === 'TaskStarted') {
      const due = event.data.wakeAt ?? event.data.deadlineAt;
      if (due !== undefined) found.set(event.data.taskId, { due: Date.parse(due), at: [] });
    }
    if (event.type === 'TaskCompleted' || event.type === 'TaskTimedOut') found.get(event.data.taskId)?.at.push(Date.parse(event.at));
  }
  return found;
};

describe('fault 18: the clock of an executor jumps', () => {
  it('ten minutes back and is put right again: a timer rings once, not before its time, and not ten minutes late', async () => {
    const { runner } = heldRunner();
    await stage.startOwner(cluster().join('one'), 'one', [noop, runner], { clock });
    const ref = await stage.request([task('wait', 'wait', { input: { durationMs: 1_000 } }), task('late', 'held', { timeoutMs: 1_000, onFailure: 'continue' })]);
    const dues = await eventually(async () => {
      const all = await rings(ref);
      return all.size === 2 && all;
    }, { what: 'both timers to run' });
    skewMs = -TEN_MINUTES_MS;
    const last = Math.max(...[...dues.values()].map(({ due }) => due));
    // Both timers of the process have rung by then, too early by its clock.
    await eventually(() => Date.now() > last + 100, { what: 'the time of both' });
    expect([...(await rings(ref)).values()].flatMap(({ at }) => at)).toEqual([]);
    skewMs = 0;
    expect((await stage.ended(ref)).state.status).toBe('completed');
    for (const { due, at } of (await rings(ref)).values()) {
      expect(at).toHaveLength(1);
      expect(at[0]).toBeGreaterThanOrEqual(due);
    }
  });

  it('ten minutes ahead and is put right again: what has rung by then does not ring again, and no event is older than the one before it', async () => {
    await stage.startOwner(cluster().join('one'), 'one', [noop], { clock });
    const ref = await stage.request([
      task('wait', 'wait', { input: { durationMs: TEN_MINUTES_MS / 2 } }),
      task('next', 'wait', { input: { durationMs: 300 }, dependsOn: ['wait'] }),
    ]);
    await eventually(async () => (await rings(ref)).size === 1, { what: 'the timer to run' });
    skewMs = TEN_MINUTES_MS;
    await eventually(async () => (await rings(ref)).get('wait')?.at.length === 1, { what: 'it to ring' });
    skewMs = 0;
    await eventually(async () => (await rings(ref)).has('next'), { what: 'the next to run' });
    // It was set by a clock that was ten minutes ahead, and so it is not due for ten minutes by the right one.
    skewMs = TEN_MINUTES_MS + 1_000;
    expect((await stage.ended(ref)).state.status).toBe('completed');
    for (const { due, at } of (await rings(ref)).values()) {
      expect(at).toHaveLength(1);
      expect(at[0]).toBeGreaterThanOrEqual(due);
    }
    const times = (await log.history(ref)).flatMap(({ commit }) => commit.events.map(({ at }) => Date.parse(at)));
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });
});
