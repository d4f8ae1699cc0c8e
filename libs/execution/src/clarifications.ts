import type { EventData, Fact, JsonObject, PlanTask } from '#libs/contracts';
import { MAX_DELEGATIONS } from './limits.js';
import { Refused } from './refused.js';

type Asked = EventData['ClarificationRequested'];

/** Who said what; `at` is RFC 3339. */
export type Answer = { readonly by: string; readonly decision: string; readonly reason: string | undefined; readonly at: string };
type Delegation = { readonly from: string; readonly to: string };

/** What a task asks people, and what they have said. It stays with the task when that has ended. */
export type Clarification = {
  readonly asked: Asked;
  readonly expiresAt: number | undefined;
  readonly answers: readonly Answer[];
  readonly delegations: readonly Delegation[];
};

/** Who answers, as their credentials say. */
type Responder = { readonly actor: string; readonly roles: readonly string[] };

/** Without authentication everybody is: nobody can be told from who requested the execution. */
const ANYBODY = 'anonymous';

const matches = (pattern: string, { actor, roles }: Responder): boolean =>
  pattern === actor || (pattern.endsWith('*') && actor.startsWith(pattern.slice(0, -1))) || roles.some((role) => pattern === `role:${role}`);

/** What the task of this input asks, for an attempt that starts at `now`. */
export const questionOf = ({ id: taskId, input }: PlanTask, attempt: number, now: number): Asked => {
  const { title, description, approvers = [], required = 'any', expiresInMs, onExpiry = 'reject', delegable = false } = input as Partial<Omit<Asked, 'required'>> & {
    readonly required?: 'any' | 'all' | number;
    readonly expiresInMs?: number;
  };
  return {
    taskId,
    attempt,
    title: title ?? taskId,
    ...(description !== undefined && { description }),
    approvers,
    required: required === 'any' ? 1 : required === 'all' ? approvers.length : required,
    ...(expiresInMs !== undefined && { expiresAt: new Date(now + expiresInMs).toISOString() }),
    onExpiry,
    delegable,
  };
};

/** Why somebody may not answer; undefined where they may. A right that was delegated is another's from then on. */
export const whyNot = ({ asked: { approvers }, delegations }: Clarification, who: Responder, requestedBy: string): Refused | undefined => {
  const { actor } = who;
  const last = delegations.findLast(({ from, to }) => from === actor || to === actor);
  if (last?.from === actor) return new Refused('NOT_AN_APPROVER', `you have left the answer to ${last.to}`);
  if (actor === requestedBy && actor !== ANYBODY && !approvers.includes(actor)) {
    return new Refused('SELF_APPROVAL', 'who requested the execution may not answer this, unless the plan names them among its approvers; ask somebody else');
  }
  if (last || approvers.length === 0 || approvers.some((pattern) => matches(pattern, who))) return undefined;
  return new Refused('NOT_AN_APPROVER', `you are ${actor}, and this is for ${approvers.join(', ')} to answer; ask one of them`);
};

const approvalsOf = ({ answers }: Clarification): number => answers.filter(({ decision }) => decision === 'approve').length;

/** How many approvals it has, and how many it needs. */
export const countOf = (clarification: Clarification): string => `${approvalsOf(clarification)} of ${clarification.asked.required}`;

const resultOf = (decision: 'approved' | 'rejected', answers: readonly Answer[], expired = false): JsonObject => ({
  decision,
  ...(expired && { expired }),
  answers: answers.map(({ reason, ...answer }) => ({ ...answer, ...(reason !== undefined && { reason }) })),
});

const rejected = ({ taskId, attempt }: Asked, message: string, result: JsonObject): Fact => ({
  type: 'TaskFailed',
  data: { taskId, attempt, error: { code: 'REJECTED', message, retryable: false }, final: true, result },
});

const approved = ({ taskId, attempt }: Asked, result: JsonObject): Fact => ({ type: 'TaskCompleted', data: { taskId, attempt, result } });

/** What an answer brings about: one rejection ends it, and so does the last approval that it needs. */
export const answered = (clarification: Clarification, answer: Answer): readonly Fact[] => {
  const { asked } = clarification;
  const { taskId, attempt } = asked;
  const { by, decision, reason } = answer;
  const answers = [...clarification.answers, answer];
  const isLast = approvalsOf({ ...clarification, answers }) >= asked.required;
  const outcome = decision === 'reject' ? 'rejected' : isLast ? 'approved' : 'pending';
  const said: Fact = { type: 'ClarificationResponded', data: { taskId, attempt, decision, outcome, ...(reason !== undefined && { reason }) } };
  if (outcome === 'pending') return [said];
  const result = resultOf(outcome, answers);
  return [said, outcome === 'approved' ? approved(asked, result) : rejected(asked, `rejected by ${by}${reason === undefined ? '' : `: ${reason}`}`, result)];
};

/** What follows where nobody has answered in time; `fail` says how the attempt fails where the plan wants that. */
export const expired = ({ asked, answers }: Clarification, fail: (code: string, message: string) => readonly Fact[]): readonly Fact[] => {
  const { taskId, attempt, onExpiry, expiresAt } = asked;
  const said: Fact = { type: 'ClarificationExpired', data: { taskId, attempt, onExpiry } };
  const message = `not answered by ${expiresAt}`;
  if (onExpiry === 'approve') return [said, approved(asked, resultOf('approved', answers, true))];
  if (onExpiry === 'fail') return [said, ...fail('APPROVAL_EXPIRED', message)];
  return [said, rejected(asked, `${message}, which counts as rejected`, resultOf('rejected', answers, true))];
};

/** Gives somebody's right to answer to another person. Throws Refused. */
export const delegated = (clarification: Clarification, from: string, to: string, requestedBy: string): Fact => {
  const { asked, answers, delegations } = clarification;
  const { taskId, attempt } = asked;
  const refuse = (message: string): never => {
    throw new Refused('DELEGATION_REFUSED', message);
  };
  if (!asked.delegable) refuse('the plan does not let anybody delegate this; answer it, or leave it to the other approvers');
  if (answers.some(({ by }) => by === to)) refuse(`${to} has answered already; name somebody else`);
  if (delegations.length >= MAX_DELEGATIONS) refuse(`it has been delegated ${MAX_DELEGATIONS} times; answer it, or cancel the execution`);
  const refusal = whyNot({ ...clarification, delegations: [...delegations, { from, to }] }, { actor: to, roles: [] }, requestedBy);
  if (from === to || refusal) refuse(refusal && from !== to ? `${to} may not answer: they requested the execution` : 'name somebody else than yourself');
  // Otherwise two rights would become one, and as many approvals as are needed might never come together.
  if (!whyNot(clarification, { actor: to, roles: [] }, requestedBy)) refuse(`${to} may answer already; name somebody else, or leave it to them`);
  return { type: 'ClarificationDelegated', data: { taskId, attempt, to } };
};
