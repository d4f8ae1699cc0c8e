import type { Fact } from '#libs/contracts';
import { type Step, T0, advance, approve, at, by, cancel, delegate, fail, given, iso, pause, reject, request, start, task } from '#libs/testing';
import { isWait, next } from './index.js';

const ada = (step: Step): Step => by('user:ada', step);
const bob = (step: Step): Step => by('user:bob', step);
const eve = (step: Step): Step => by('user:eve', step);

type Given = ReturnType<typeof given>;
const asks = (input: object = {}, more: object = {}): ReturnType<typeof task> => task('a', { runner: 'approval', input: { title: 'Go?', ...input }, ...more });
/** An execution, requested by `specification`, whose task a asks and whose task b waits for that. */
const asking = (input: object = {}, ...steps: readonly Step[]): Given =>
  given(request([asks(input), task('b', { dependsOn: ['a'] })]), start('a'), ...steps);

const responded = (decision: string, outcome: string, reason?: string): Fact => ({
  type: 'ClarificationResponded',
  data: { taskId: 'a', attempt: 1, decision, outcome, ...(reason !== undefined && { reason }) },
});
const answer = (who: string, decision = 'approve', ms = 0): object => ({ by: who, decision, at: iso(ms) });
const approved = (...answers: object[]): Fact => ({ type: 'TaskCompleted', data: { taskId: 'a', attempt: 1, result: { decision: 'approved', answers: answers as never } } });
const rejected = (message: string, result: object): Fact => ({
  type: 'TaskFailed',
  data: { taskId: 'a', attempt: 1, error: { code: 'REJECTED', message, retryable: false }, final: true, result: result as never },
});

describe('a task that asks for approval', () => {
  it('asks when it starts, and nothing runs in it', () => {
    expect(isWait(asks())).toBe(true);
    given(request([asks({ description: 'really', approvers: ['user:ada', 'user:bob'], required: 'all', expiresInMs: 100 })])).when(start('a')).decides(
      { type: 'ExecutionStarted', data: {} },
      { type: 'TaskStarted', data: { taskId: 'a', attempt: 1, executor: '' } },
      {
        type: 'ClarificationRequested',
        data: {
          taskId: 'a',
          attempt: 1,
          title: 'Go?',
          description: 'really',
          approvers: ['user:ada', 'user:bob'],
          required: 2,
          expiresAt: iso(100),
          onExpiry: 'reject',
          delegable: false,
        },
      },
    );
  });

  it('ends with the approval, in the same commit, and tells who gave it', () => {
    asking().when(at(5, ada(approve('a')))).decides(responded('approve', 'approved'), approved(answer('user:ada', 'approve', 5)));
  });

  it('fails for good when it is rejected, whatever its retries: what follows is the plan’s onFailure', () => {
    const told = 'rejected by user:ada: too early';
    const result = { decision: 'rejected', answers: [{ ...answer('user:ada', 'reject'), reason: 'too early' }] };
    const retried = asks({}, { retry: { maxAttempts: 5 } });
    given(request([retried, task('b', { dependsOn: ['a'] }), task('c')]), start('a')).when(ada(reject('a', 'too early'))).decides(
      responded('reject', 'rejected', 'too early'),
      rejected(told, result),
      { type: 'TaskSkipped', data: { taskId: 'b', why: "dependency 'a' failed" } },
    );
    const continued = given(request([asks({}, { onFailure: 'continue' }), task('b', { dependsOn: ['a'] })]), start('a'), ada(reject('a')));
    expect(next(continued.state, T0).start).toEqual(['b']);
  });

  it('takes as many approvals as the plan says, and one rejection is enough', () => {
    const two = asking({ required: 2 }, ada(approve('a')));
    two.when(bob(approve('a'))).decides(responded('approve', 'approved'), approved(answer('user:ada'), answer('user:bob')));
    two.when(bob(reject('a'))).decidesTypes('ClarificationResponded', 'TaskFailed', 'TaskSkipped', 'ExecutionFailed');
    asking({ required: 2 }).when(ada(approve('a'))).decides(responded('approve', 'pending'));
    asking({ approvers: ['user:ada', 'user:bob'], required: 'all' }).when(ada(approve('a'))).decides(responded('approve', 'pending'));
  });

  it('is answered while the execution is paused, as running tasks go on', () => {
    asking({}, pause).when(ada(approve('a'))).decidesTypes('ClarificationResponded', 'TaskCompleted');
  });

  it('asks nobody any more when its execution is cancelled, or its attempt timed out', () => {
    asking().when(cancel('graceful')).decidesTypes('ExecutionCancelRequested', 'ClarificationWithdrawn', 'TaskCancelled', 'TaskSkipped', 'ExecutionCancelled');
    asking({}, cancel('graceful')).when(ada(approve('a'))).refuses('CLARIFICATION_CLOSED');
    const bounded = asks({}, { timeoutMs: 50, retry: { maxAttempts: 2, backoff: 'fixed', delayMs: 0 } });
    const late = given(request([bounded]), start('a'));
    late.when(at(50, advance)).decidesTypes('ClarificationWithdrawn', 'TaskTimedOut', 'TaskRetryScheduled');
    const again = given(request([bounded]), start('a'), at(50, advance));
    again.when(at(51, ada(approve('a')))).refuses('CLARIFICATION_CLOSED');
    again.when(at(51, start('a'))).decidesTypes('TaskStarted', 'ClarificationRequested');
  });
});

describe('who may answer', () => {
  it.each<[string, readonly string[], Parameters<typeof by>, string | undefined]>([
    ['anybody where nobody is named', [], ['user:ada', approve('a')], undefined],
    ['who is named', ['user:ada'], ['user:ada', approve('a')], undefined],
    ['nobody else', ['user:ada'], ['user:adam', approve('a')], 'NOT_AN_APPROVER'],
    ['who begins as named', ['key:*', 'user:a*'], ['user:ada', approve('a')], undefined],
    ['nobody who begins otherwise', ['user:a*'], ['user:eve', approve('a')], 'NOT_AN_APPROVER'],
    ['who has the role', ['role:approver'], ['user:ada', approve('a', ['viewer', 'approver'])], undefined],
    ['nobody without the role', ['role:approver'], ['user:ada', approve('a', ['admin'])], 'NOT_AN_APPROVER'],
    ['not who requested the execution', [], ['specification', approve('a')], 'SELF_APPROVAL'],
    ['not even by their role', ['role:approver'], ['specification', approve('a', ['approver'])], 'SELF_APPROVAL'],
    ['unless they are named themselves', ['specification'], ['specification', approve('a')], undefined],
  ])('%s', (_, approvers, [actor, step], code) => {
    const outcome = asking({ approvers }).when(by(actor, step));
    if (code === undefined) outcome.decidesTypes('ClarificationResponded', 'TaskCompleted');
    else outcome.refuses(code);
  });

  it('everybody, where there is no authentication: nobody can be told from who requested it', () => {
    const anonymous = given(by('anonymous', request([asks(), task('b')])), start('a'));
    anonymous.when(by('anonymous', approve('a'))).decidesTypes('ClarificationResponded', 'TaskCompleted');
  });
});

describe('an answer', () => {
  it('is given once, and final: the same again changes nothing, another one is refused', () => {
    const one = asking({ required: 2 }, ada(approve('a')));
    one.when(ada(approve('a'))).decides();
    one.when(ada(reject('a'))).refuses('ALREADY_ANSWERED');
    const over = asking({}, ada(approve('a')));
    over.when(ada(approve('a'))).decides();
    over.when(ada(reject('a'))).refuses('ALREADY_ANSWERED');
    over.when(bob(approve('a'))).refuses('CLARIFICATION_CLOSED');
  });

  it('that comes again under its key is that answer, whatever has happened since', () => {
    const keyed = asking({ required: 2 }, at(0, ada(approve('a')), 'key#print'), bob(approve('a')));
    keyed.when(at(9, ada(approve('a')), 'key#print')).decides();
    keyed.when(at(9, ada(approve('a')), 'key#other')).refuses('IDEMPOTENCY_KEY_REUSED');
  });

  it('is for what has been asked', () => {
    asking().when(ada(approve('b'))).refuses('CLARIFICATION_NOT_FOUND');
    asking().when(ada(approve('z'))).refuses('CLARIFICATION_NOT_FOUND');
    given(request([asks()])).when(ada(approve('a'))).refuses('CLARIFICATION_NOT_FOUND');
  });
});

describe('what is not answered in time', () => {
  const expiring = (onExpiry?: string): Given => asking({ expiresInMs: 100, required: 2, ...(onExpiry !== undefined && { onExpiry }) }, ada(approve('a')));
  const said = (onExpiry: string): Fact => ({ type: 'ClarificationExpired', data: { taskId: 'a', attempt: 1, onExpiry } });

  it('is rejected unless the plan says otherwise; an owner wakes for it', () => {
    const message = `not answered by ${iso(100)}, which counts as rejected`;
    expect(next(expiring().state, T0)).toEqual({ start: [], decide: [], advance: false, wakeAt: T0 + 100 });
    expiring().when(at(99, advance)).decides();
    expiring().when(at(100, advance)).decides(
      said('reject'),
      rejected(message, { decision: 'rejected', expired: true, answers: [answer('user:ada')] }),
      { type: 'TaskSkipped', data: expect.anything() as never },
      { type: 'ExecutionFailed', data: expect.anything() as never },
    );
  });

  it('is approved where silence is consent', () => {
    const result = { decision: 'approved', expired: true, answers: [answer('user:ada')] } as never;
    expiring('approve').when(at(100, advance)).decides(said('approve'), { type: 'TaskCompleted', data: { taskId: 'a', attempt: 1, result } });
  });

  it('fails where the plan wants that, and is asked again where it may be', () => {
    expiring('fail').when(at(100, advance)).decidesTypes('ClarificationExpired', 'TaskFailed', 'TaskSkipped', 'ExecutionFailed');
    const again = asks({ expiresInMs: 100, onExpiry: 'fail' }, { retry: { maxAttempts: 2, backoff: 'fixed', delayMs: 5 } });
    given(request([again]), start('a'), at(100, advance), at(105, start('a'))).when(at(106, ada(approve('a')))).decidesTypes('ClarificationResponded', 'TaskCompleted', 'ExecutionCompleted');
  });

  it('takes no answer any more, whether or not an owner has looked', () => {
    expiring().when(at(100, bob(approve('a')))).refuses('CLARIFICATION_CLOSED');
    expiring().when(at(99, bob(approve('a')))).decidesTypes('ClarificationResponded', 'TaskCompleted');
  });
});

describe('a delegation', () => {
  const open = { approvers: ['user:ada', 'user:bob'], required: 'all', delegable: true };
  const delegated: Fact = { type: 'ClarificationDelegated', data: { taskId: 'a', attempt: 1, to: 'user:eve' } };

  it('leaves an answer to somebody else, who may leave it on, or back', () => {
    asking(open).when(ada(delegate('a', 'user:eve'))).decides(delegated);
    const left = asking(open, ada(delegate('a', 'user:eve')));
    left.when(ada(approve('a'))).refuses('NOT_AN_APPROVER');
    left.when(eve(approve('a'))).decides(responded('approve', 'pending'));
    asking(open, ada(delegate('a', 'user:eve')), eve(approve('a'))).when(bob(approve('a'))).decidesTypes('ClarificationResponded', 'TaskCompleted');
    asking(open, ada(delegate('a', 'user:eve')), eve(delegate('a', 'user:ada'))).when(ada(approve('a'))).decides(responded('approve', 'pending'));
  });

  it.each<[string, object, Step, string]>([
    ['where the plan does not allow it', { ...open, delegable: false }, ada(delegate('a', 'user:eve')), 'DELEGATION_REFUSED'],
    ['by who may not answer', open, eve(delegate('a', 'user:max')), 'NOT_AN_APPROVER'],
    ['to oneself', open, ada(delegate('a', 'user:ada')), 'DELEGATION_REFUSED'],
    ['to who may answer already: two rights would become one', open, ada(delegate('a', 'user:bob')), 'DELEGATION_REFUSED'],
    ['to who requested the execution', open, ada(delegate('a', 'specification')), 'DELEGATION_REFUSED'],
  ])('is refused %s', (_, input, step, code) => {
    asking(input).when(step).refuses(code);
  });

  it('is refused after an answer, and to who has answered', () => {
    asking(open, ada(approve('a'))).when(ada(delegate('a', 'user:eve'))).refuses('ALREADY_ANSWERED');
    const roles = { approvers: ['role:approver'], required: 2, delegable: true };
    asking(roles, eve(approve('a', ['approver']))).when(ada({ ...delegate('a', 'user:eve'), roles: ['approver'] } as never)).refuses('DELEGATION_REFUSED');
  });

  it('says nothing about another task: failures elsewhere go on as they do', () => {
    given(request([asks(open), task('b')]), start('a'), start('b')).when(fail('b')).decidesTypes('TaskFailed');
  });
});
