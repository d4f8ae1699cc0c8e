import type { Fact } from '#libs/contracts';
import { advance, at, cancel, given, iso, pause, request, signal, start, task } from '#libs/testing';
import { MAX_SIGNALS, isWait, next } from './index.js';

const go = (id: string, more: object = {}): ReturnType<typeof task> => task(id, { runner: 'signal', input: { name: 'go' }, ...more });
const received = (name: string, payload = {}): Fact => ({ type: 'SignalReceived', data: { name, payload } });
const taken = (taskId: string, payload: object, ms = 0, attempt = 1): Fact => ({
  type: 'TaskCompleted',
  data: { taskId, attempt, result: { payload: { ...payload }, receivedAt: iso(ms), by: 'specification' } },
});
const completed = expect.objectContaining({ type: 'ExecutionCompleted' }) as Fact;

describe('a task that waits for a signal', () => {
  it('starts without an executor, and says what it waits for', () => {
    expect(isWait(go('a'))).toBe(true);
    given(request([go('a')])).when(start('a')).decides(
      { type: 'ExecutionStarted', data: {} },
      { type: 'TaskStarted', data: { taskId: 'a', attempt: 1, executor: '', signal: 'go' } },
    );
    expect(next(given(request([go('a')]), start('a')).state, 0)).toEqual({ start: [], decide: [], advance: false, wakeAt: undefined });
  });

  it('ends with the signal, in the same commit, with what came, when, and from whom', () => {
    given(request([go('a')]), start('a')).when(at(5, signal('go', { n: 1 }))).decides(received('go', { n: 1 }), taken('a', { n: 1 }, 5), completed);
  });

  it('takes a signal that came before it', () => {
    given(request([task('b'), go('a')]), at(5, signal('go', { n: 1 }))).when(at(9, start('a'))).decides(
      { type: 'ExecutionStarted', data: {} },
      { type: 'TaskStarted', data: { taskId: 'a', attempt: 1, executor: '', signal: 'go' } },
      taken('a', { n: 1 }, 5),
    );
  });

  it('takes one, and leaves the next to the next: those that have waited longest first, whatever the plan says', () => {
    const both = [request([go('a'), go('b'), task('c')]), start('b'), start('a')];
    given(...both).when(signal('go', { n: 1 })).decides(received('go', { n: 1 }), taken('b', { n: 1 }));
    given(...both, signal('go', { n: 1 })).when(signal('go', { n: 2 })).decides(received('go', { n: 2 }), taken('a', { n: 2 }));
    const early = [request([go('a'), go('b'), task('c')]), signal('go', { n: 1 }), signal('go', { n: 2 })];
    given(...early, start('b')).when(start('a')).decides({ type: 'TaskStarted', data: expect.anything() as never }, taken('a', { n: 2 }));
  });

  it('does not take one of another name', () => {
    given(request([go('a')]), start('a')).when(signal('stop')).decides(received('stop'));
  });

  it('takes it while the execution is paused, as running tasks go on', () => {
    given(request([go('a'), task('b', { dependsOn: ['a'] })]), start('a'), pause).when(signal('go')).decides(received('go'), taken('a', {}));
  });

  it('waits for as long as its timeout says, and again where it may be tried again', () => {
    const bounded = go('a', { timeoutMs: 100, retry: { maxAttempts: 2, backoff: 'fixed', delayMs: 0 } });
    const late = given(request([bounded]), start('a'), at(100, advance));
    late.when(at(101, start('a'))).decidesTypes('TaskStarted');
    given(request([bounded]), start('a'), at(100, advance), at(101, start('a'))).when(at(102, signal('go'))).decides(received('go'), taken('a', {}, 102, 2), completed);
    expect(late.state.listeners).toEqual([]);
  });

  it('is cancelled with its execution, at once', () => {
    given(request([go('a')]), start('a')).when(cancel('graceful')).decidesTypes('ExecutionCancelRequested', 'TaskCancelled', 'ExecutionCancelled');
  });

  it('has no outcome but the signal: nothing runs in it', () => {
    const waiting = given(request([go('a')]), start('a'));
    waiting.when({ type: 'RecordOutcome', taskId: 'a', attempt: 1, outcome: { ok: true, result: {} } }).decidesTypes('TaskResultIgnored');
    waiting.when({ type: 'RecordLostAttempt', taskId: 'a', attempt: 1 }).decides();
  });
});

describe('a signal', () => {
  it('sent again under its key changes nothing', () => {
    const sent = given(request([go('a'), go('b')]), at(0, signal('go'), 'key#print'));
    sent.when(at(1, signal('go'), 'key#print')).decides();
    sent.when(at(1, signal('go'), 'key#other')).refuses('IDEMPOTENCY_KEY_REUSED');
    sent.when(signal('go')).decides(received('go'));
  });

  it('is refused where no task can take it any more', () => {
    given(request([go('a')]), start('a'), signal('go')).when(signal('go')).refuses('EXECUTION_TERMINAL');
    given(request([task('a')]), start('a'), cancel('graceful')).when(signal('go')).refuses('EXECUTION_CANCELLING');
  });

  it(`is refused where ${MAX_SIGNALS} have not been taken`, () => {
    const full = Array.from({ length: MAX_SIGNALS }, () => signal('stray'));
    given(request([go('a')]), ...full).when(signal('go')).refuses('SIGNALS_FULL');
    given(request([go('a'), task('b')]), ...full.slice(1), signal('go'), start('a')).when(signal('go')).decides(received('go'));
  });
});
