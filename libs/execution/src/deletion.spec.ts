import { type Step, at, cancel, given, iso, pause, request, start, succeed, task } from '#libs/testing';
import { decide } from './decide.js';
import { fold } from './evolve.js';
import { illegality } from './legality.js';
import { type State, initial } from './state.js';

const remove: Step = { type: 'DeleteExecution', reason: 'no longer needed', actor: 'user:ada' };
const ended = [request([task('a')]), start('a'), succeed('a')];
const deleted = { at: Date.parse(iso(5)), by: 'user:ada', reason: 'no longer needed' };
const context = { now: Date.parse(iso(5)), cause: 'delete-1', actor: 'user:ada', correlationId: 'c' };

describe('the deletion of an execution', () => {
  it('is the last event of one that has ended, however that was', () => {
    given(...ended).when(remove).decides({ type: 'ExecutionDeleted', data: { status: 'completed', reason: 'no longer needed' } });
    given(request([task('a')]), cancel('immediate')).when({ type: 'DeleteExecution' }).decides({ type: 'ExecutionDeleted', data: { status: 'cancelled' } });
  });

  it('is refused while the execution may still change', () => {
    given(request([task('a')])).when(remove).refuses('EXECUTION_NOT_ENDED');
    given(request([task('a')]), pause).when(remove).refuses('EXECUTION_NOT_ENDED');
    given(request([task('a')]), start('a'), cancel('graceful')).when(remove).refuses('EXECUTION_NOT_ENDED');
    given().when(remove).refuses('EXECUTION_NOT_FOUND');
  });

  it('keeps the workspace, so that it still shows to whom the execution belonged, and nothing else of it', () => {
    const requested = { ...request([task('a')]), labels: { workspace: 'w', team: 'red' } } as Step;
    given(requested, start('a'), succeed('a')).when({ type: 'DeleteExecution' }).decides({ type: 'ExecutionDeleted', data: { status: 'completed', workspace: 'w' } });
  });

  it('leaves the same state whatever was read before it', () => {
    const { state } = given(...ended);
    const [event] = decide(remove, state, context);
    if (!event) throw new Error('nothing was decided');
    const whole = fold(state, [event]);
    expect(whole).toEqual(fold(initial, [event]));
    expect(whole).toEqual(fold(given(...ended.slice(0, 2)).state, [event]));
    expect(whole).toMatchObject({ status: 'completed', deleted, plan: { tasks: [] }, labels: {} });
  });

  it('once more changes nothing', () => {
    given(...ended, remove).when(remove).decides();
    given(...ended, { ...remove, cause: 'key#one' }).when({ ...remove, cause: 'key#one' }).decides();
    given(...ended, { ...remove, cause: 'key#one' }).when({ type: 'DeleteExecution', cause: 'key#other' }).refuses('IDEMPOTENCY_KEY_REUSED');
  });

  it('is followed by nothing: no command, no second birth, no late result', () => {
    const gone = given(...ended, at(5, remove));
    gone.when(request([task('a')])).refuses('EXECUTION_DELETED');
    gone.when(cancel('immediate')).refuses('EXECUTION_DELETED');
    gone.when({ type: 'SendSignal', name: 'go', payload: {} }).refuses('EXECUTION_DELETED');
    gone.when({ type: 'RespondToClarification', taskId: 'a', decision: 'approve', roles: [] }).refuses('EXECUTION_DELETED');
    gone.when(succeed('a')).decides();
    gone.when({ type: 'RecordLostAttempt', taskId: 'a', attempt: 1 }).decides();
    gone.when({ type: 'Advance' }).decides();
    expect(() => decide(request([task('a')]), gone.state, context)).toThrow(/deleted at 2026-01-01T00:00:00.005Z by user:ada \(no longer needed\)/);
  });

  it('is legal after an end only, and says how that was', () => {
    const legality = (state: State, status: 'completed' | 'failed'): string | undefined =>
      illegality(state, { type: 'ExecutionDeleted', data: { status }, at: iso(9), cause: 'c', actor: 'a', correlationId: 'c' });
    expect(legality(given(...ended).state, 'completed')).toBeUndefined();
    expect(legality(given(...ended).state, 'failed')).toMatch('is completed, not failed');
    expect(legality(given(request([task('a')])).state, 'completed')).toMatch('is pending, not completed');
    expect(legality(initial, 'completed')).toMatch('begins with ExecutionRequested');
    expect(legality(given(...ended, remove).state, 'completed')).toMatch('nothing follows the deletion');
  });
});
