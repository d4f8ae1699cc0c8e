/** Why a command was not applied. The edge maps codes to HTTP status once. */
export type RefusalCode =
  | 'EXECUTION_EXISTS'
  | 'EXECUTION_NOT_FOUND'
  | 'EXECUTION_TERMINAL'
  | 'EXECUTION_CANCELLING'
  | 'EXECUTION_NOT_ENDED'
  | 'NOTHING_TO_RETRY'
  | 'PLAN_INCOMPLETE'
  | 'TASK_NOT_FOUND'
  | 'EXECUTION_DELETED'
  | 'BULK_NOT_CARRIED_ON'
  | 'IDEMPOTENCY_KEY_REUSED'
  | 'SIGNALS_FULL'
  | 'CLARIFICATION_NOT_FOUND'
  | 'CLARIFICATION_CLOSED'
  | 'ALREADY_ANSWERED'
  | 'NOT_AN_APPROVER'
  | 'SELF_APPROVAL'
  | 'DELEGATION_REFUSED'
  | 'TASK_NOT_STARTABLE'
  | 'ARTIFACT_NOT_FOUND'
  | 'ARTIFACTS_FULL'
  | 'EVENT_UNKNOWN';

/** A command that the state does not allow; nothing was decided. Trying again as it stands is refused again. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly retryable = false;

  constructor(
    readonly code: RefusalCode,
    message: string,
  ) {
    super(message);
  }
}
