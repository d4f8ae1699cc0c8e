import type { Event, Fact } from '#libs/contracts';
import { T0, cancel, fail, given, iso, pause, request, signal, start, startEach, succeed, task } from '#libs/testing';
import { type State, illegality, initial } from './index.js';

const event = (fact: Fact, at = 10): Event => ({ ...fact, at: iso(at), cause: 'c', actor: 'a', correlationId: 'k' });
const paused: Fact = { type: 'ExecutionPaused', data: {} };
const completed: Fact = { type: 'ExecutionCompleted', data: { result: {} } };
const started = (taskId: string, attempt = 1): Fact => ({ type: 'TaskStarted', data: { taskId, attempt, executor: 'one' } });
const done = (taskId: string, attempt = 1): Fact => ({ type: 'TaskCompleted', data: { taskId, attempt, result: {} } });
const ignored: Fact = { type: 'TaskResultIgnored', data: { taskId: 'a', attempt: 1, why: 'late' } };

const requested = given(request([task('a'), task('b', { dependsOn: ['a'] })])).state;
const running = given(request([task('a'), task('b', { dependsOn: ['a'] })]), start('a')).state;
const listening = given(request([task('a', { runner: 'signal', input: { name: 'go' } })]), signal('stop'), start('a')).state;
const expanded = (taskId: string, first: number): Fact => ({ type: 'TaskExpanded', data: { taskId, attempt: 1, runner: 'command', first, count: 1, items: [] } });
const loop = { until: 'result.over', maxIterations: 3 };
const fanned = given(request([task('a', { forEach: { items: [] } })]), startEach('a', [1, 2])).state;
const looping = given(request([task('a', { loop })]), start('a'), start('a--0'), succeed('a--0')).state;
const over = given(request([task('a')]), start('a'), succeed('a')).state;
const again = given(request([task('a', { retry: { maxAttempts: 2, delayMs: 1_000, backoff: 'fixed' } })]), start('a'), fail('a')).state;

describe('what may not follow', () => {
  it.each<[string, State, Event, RegExp]>([
    ['anything before the request', initial, event(paused), /begins with/],
    ['a second request', running, event({ type: 'ExecutionRequested', data: {} } as Fact), /exists already/],
    ['anything earlier than what was before', running, event(paused, -1), new RegExp(`before.*${new Date(T0).toISOString()}`)],
    ['anything but a late result after the end', over, event(paused), /completed/],
    ['a task that the plan does not have', running, event(started('z')), /no task 'z'/],
    ['a start before what it depends on has ended', running, event(started('b')), /not due/],
    ['a start of what runs', running, event(started('a', 2)), /not due/],
    ['a start while paused', given(request([task('a')]), pause).state, event(started('a')), /paused/],
    ['a start before the time of the retry', again, event(started('a', 2), 500), /not due/],
    ['an attempt that is left out', again, event(started('a', 3), 1_500), /attempt 3 follows attempt 1/],
    ['an end of what does not run', requested, event(done('a')), /attempt 1.*pending/],
    ['an end of another attempt', running, event(done('a', 2)), /attempt 2.*running in attempt 1/],
    ['the end of a wait for a signal that has not come', listening, event(done('a')), /'go'.*not come/],
    ['a retry of what runs', running, event({ type: 'TaskRetryScheduled', data: { taskId: 'a', attempt: 2, at: iso(0) } }), /running/],
    ['a skipped task that runs', running, event({ type: 'TaskSkipped', data: { taskId: 'a', why: 'x' } }), /running/],
    ['the end of a step that is not open', running, event({ type: 'StepCompleted', data: { taskId: 'a', stepId: 'a.1.1' } }), /a\.1\.1/],
    ['an end with open tasks', running, event(completed), /2 of its tasks/],
    ['a second start', running, event({ type: 'ExecutionStarted', data: {} }), /started already/],
    ['a resume of what is not paused', running, event({ type: 'ExecutionResumed', data: {} }), /running/],
    ['a cancelled end that nobody asked for', running, event({ type: 'ExecutionCancelled', data: {} }), /nobody/],
    [
      'a pause of what is being cancelled',
      given(request([task('a')]), start('a'), cancel('graceful')).state,
      event(paused),
      /cancelling/,
    ],
    ['an expansion of what is done by itself', running, event(expanded('a', 0)), /not one that is done by others/],
    ['a second expansion of what has items', fanned, event(expanded('a', 2)), /2 of which have not ended/],
    ['an iteration that is left out', looping, event(expanded('a', 2)), /from 2 on, and 1 there are/],
    ['an iteration of what does not run', given(request([task('a', { loop })])).state, event(expanded('a', 0)), /pending/],
    ['the end of what has items before theirs', fanned, event(done('a')), /2 of its children have not ended/],
    [
      'a weaker cancel',
      given(request([task('a')]), start('a'), cancel('immediate')).state,
      event({ type: 'ExecutionCancelRequested', data: { mode: 'graceful' } }),
      /cancelling/,
    ],
  ])('is %s', (_, state, fact, why) => {
    expect(illegality(state, fact)).toMatch(why);
  });

  it('is not the iteration after one that has ended', () => {
    expect(illegality(looping, event(expanded('a', 1)))).toBeUndefined();
  });

  it('is not a late result after the end, nor the attempt that was scheduled', () => {
    expect(illegality(over, event(ignored))).toBeUndefined();
    expect(illegality(again, event(started('a', 2), 1_000))).toBeUndefined();
  });
});
