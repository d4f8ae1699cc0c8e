import { MemoryLog } from '#libs/ledger';
import { eventually } from '#libs/testing';
import { Stage, cluster, heldRunner, task } from './stage.js';

let log: MemoryLog;
let stage: Stage;

beforeEach(() => {
  log = new MemoryLog();
  stage = new Stage(log);
});
afterEach(() => stage.stop());

const failed = { ok: false, error: { code: 'BROKEN', message: 'it broke', retryable: true } } as const;

/** Two executors, of which the first dies while it runs the task's last attempt so far. */
const orphaned = async (onLost: 'retry' | 'fail') => {
  const members = cluster();
  const first = heldRunner();
  const second = heldRunner();
  await stage.startOwner(members.join('first'), 'first', [first.runner]);
  const ref = await stage.request([task('a', 'held', { onLost, retry: { maxAttempts: 3, delayMs: 1 } }), task('undo', 'held', { compensates: 'a' })]);
  const attempt = (of: typeof first, key: string) => eventually(() => of.held.get(`${ref.execution}/${key}`), { timeoutMs: 10_000, what: key });
  (await attempt(first, 'a/1')).end(failed);
  await attempt(first, 'a/2');
  members.kill('first');
  await stage.startOwner(members.join('second'), 'second', [second.runner]);
  return { ref, first, second, attempt };
};

describe('a task that is delivered at least once', () => {
  it('has one idempotency key over attempts that failed and attempts that were lost, and what undoes it another', async () => {
    const { ref, first, second, attempt } = await orphaned('retry');
    const third = await attempt(second, 'a/3');
    const keys = [await attempt(first, 'a/1'), await attempt(first, 'a/2'), third].map((held) => held.attempt.idempotencyKey);
    expect(keys).toEqual(Array(3).fill(`${ref.execution}/a`));
    // Ends while nothing runs any more, so that it has to be undone.
    await stage.submit(ref, { type: 'CancelExecution', mode: 'graceful' });
    third.end({ ok: true, result: {} });
    const undo = await attempt(second, 'undo/1');
    expect(undo.attempt.idempotencyKey).toBe(`${ref.execution}/undo`);
    undo.end({ ok: true, result: {} });
    expect((await stage.ended(ref)).state.status).toBe('cancelled');
  });
});

describe('a task that is delivered at most once', () => {
  it('is not run again after it was lost, though its policy has attempts left', async () => {
    const { ref, second } = await orphaned('fail');
    const { state } = await stage.ended(ref);
    expect(state.tasks.get('a')).toMatchObject({ status: 'failed', attempt: 2, error: { code: 'ATTEMPT_LOST' } });
    expect(second.starts).toEqual([]);
  });
});
