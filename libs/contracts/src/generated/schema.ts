// Generated from proto/ by scripts/contract.mjs; not to be edited.

/**
 * Every message by its name: the type of each field by the field's JSON name. [] is a list, {} a map by text; ? may be absent.
 * Struct is a JSON object, Timestamp an RFC 3339 text in UTC.
 */
export const messages = {
  AuditRecord: { id: 'string', at: 'Timestamp', tenant: 'string', actor: 'string', permission: 'string?', method: 'string', route: 'string?', target: 'string?', status: 'uint32', code: 'string?', address: 'string', correlationId: 'string', userAgent: 'string?', omitted: 'uint32?' },
  CancelExecution: { mode: 'string', reason: 'string?' },
  Commit: { id: 'string', version: 'uint32', previous: 'string', events: 'Event[]' },
  Event: { type: 'string', at: 'Timestamp', cause: 'string', actor: 'string', correlationId: 'string', data: 'Struct' },
  ExecutionCancelRequested: { mode: 'string', reason: 'string?' },
  ExecutionCancelled: { reason: 'string?' },
  ExecutionCommandSatisfied: { command: 'string' },
  ExecutionCompleted: { result: 'Struct' },
  ExecutionFailed: { reason: 'Failure' },
  ExecutionPaused: { reason: 'string?' },
  ExecutionRequested: { plan: 'Plan', name: 'string', labels: 'string{}', input: 'Struct', dialect: 'string' },
  ExecutionResumed: { reason: 'string?' },
  ExecutionStarted: { deadlineAt: 'Timestamp?' },
  Failure: { code: 'string', message: 'string', retryable: 'bool' },
  FeedEvent: { specversion: 'string', id: 'string', source: 'string', type: 'string', subject: 'string', time: 'Timestamp', datacontenttype: 'string', data: 'Struct', position: 'string', tenant: 'string', execution: 'string', version: 'uint32', cause: 'string', actor: 'string', correlationid: 'string' },
  OutputChunk: { attempt: 'uint32', stream: 'string', chunk: 'uint32', time: 'string', truncated: 'bool' },
  PauseExecution: { reason: 'string?' },
  Plan: { name: 'string', tasks: 'PlanTask[]', concurrency: 'uint32?', timeoutMs: 'uint64?' },
  PlanTask: { id: 'string', runner: 'string', input: 'Struct', dependsOn: 'string[]', retry: 'RetryPolicy?', timeoutMs: 'uint64?', onFailure: 'string?', onLost: 'string?', scheduleToStartMs: 'uint64?', heartbeatMs: 'uint64?' },
  RequestExecution: { plan: 'Plan', name: 'string?', labels: 'string{}', input: 'Struct?' },
  ResumeExecution: { reason: 'string?' },
  RetryPolicy: { maxAttempts: 'uint32', backoff: 'string?', delayMs: 'uint64?', maxDelayMs: 'uint64?', jitter: 'double?', finalErrors: 'string[]?', retryOn: 'string[]?' },
  SendSignal: { payload: 'Struct?' },
  SignalReceived: { name: 'string', payload: 'Struct' },
  StepCompleted: { taskId: 'string', stepId: 'string' },
  StepFailed: { taskId: 'string', stepId: 'string', error: 'string' },
  StepSkipped: { taskId: 'string', stepId: 'string', why: 'string' },
  StepStarted: { taskId: 'string', attempt: 'uint32', stepId: 'string', name: 'string', metadata: 'string{}' },
  TaskCancelled: { taskId: 'string', attempt: 'uint32', result: 'Struct?' },
  TaskCompleted: { taskId: 'string', attempt: 'uint32', result: 'Struct' },
  TaskFailed: { taskId: 'string', attempt: 'uint32', error: 'Failure', final: 'bool', result: 'Struct?' },
  TaskResultIgnored: { taskId: 'string', attempt: 'uint32', why: 'string' },
  TaskRetryScheduled: { taskId: 'string', attempt: 'uint32', at: 'Timestamp' },
  TaskSkipped: { taskId: 'string', why: 'string' },
  TaskStarted: { taskId: 'string', attempt: 'uint32', executor: 'string', deadlineAt: 'Timestamp?', wakeAt: 'Timestamp?', signal: 'string?' },
  TaskTimedOut: { taskId: 'string', attempt: 'uint32', timeoutMs: 'uint64', final: 'bool' },
} as const;
