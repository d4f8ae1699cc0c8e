import type { ExecutionStatus, Failure, Json, JsonObject, OriginKind, StepStatus, TaskStatus } from '#libs/contracts';

/** An execution as lists show it. Times are RFC 3339; null until they are known. */
export type ExecutionSummary = {
  readonly id: string;
  readonly name: string;
  readonly status: ExecutionStatus;
  readonly labels: Readonly<Record<string, string>>;
  readonly dialect: string;
  /** The execution that it carries on, as of a log sequence; `task`: from which on everything runs anew. */
  readonly origin: { readonly execution: string; readonly kind: OriginKind; readonly sequence: number; readonly task: string | null } | null;
  /** The attempt of another execution that this one is, and how many are above it; null where a client requested it. */
  readonly parent: { readonly execution: string; readonly task: string; readonly attempt: number; readonly depth: number } | null;
  readonly requestedAt: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly tasks: { readonly total: number; readonly ended: number; readonly failed: number };
  /** Version and log sequence of its last commit. */
  readonly version: number;
  readonly sequence: number;
};

export type ExecutionDetail = ExecutionSummary & {
  readonly input: JsonObject;
  readonly result: JsonObject | null;
  readonly reason: Failure | null;
  readonly cancel: { readonly mode: string; readonly reason: string | null } | null;
  /** What its attempts have said of it: the last value of each key. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Executions that carry it on, the newest first, at most 100: where the read model knows of any. */
  readonly successors?: readonly { readonly id: string; readonly kind: OriginKind }[];
};

export type StepView = {
  readonly id: string;
  readonly name: string;
  readonly status: StepStatus;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly error: string | null;
  readonly metadata: Readonly<Record<string, string>>;
};

/** What a running task in which nothing runs waits for: a time (RFC 3339), a signal of a name, an approval with a title, an event on a subject, the end of an execution, or the tasks of its items or iterations. */
export type WaitsFor = { readonly kind: 'time' | 'signal' | 'approval' | 'event' | 'execution' | 'tasks'; readonly name: string };

export type TaskView = {
  readonly id: string;
  readonly runner: string;
  readonly status: TaskStatus;
  readonly dependsOn: readonly string[];
  /** The task of which it is one of the items or iterations. */
  readonly parent: string | null;
  /** What it is for, where the task is one of a fan-out. */
  readonly item: Json;
  readonly attempt: number;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  /** While pending after a failed attempt or between iterations: not before. */
  readonly retryAt: string | null;
  readonly result: JsonObject | null;
  readonly error: Failure | null;
  /** While it runs and nothing runs in it. */
  readonly waitsFor: WaitsFor | null;
  /** The execution that its current or last attempt is. */
  readonly subExecution: string | null;
  /** Why it was skipped. */
  readonly why: string | null;
  /** How far it has come, where its runner tells: `failed` is not among `done`. */
  readonly progress: { readonly done: number; readonly failed: number; readonly total: number } | null;
  /** The execution that it ended well in, and that has its output, where that was not this one. */
  readonly carriedFrom: string | null;
  readonly steps: readonly StepView[];
};

/** What somebody has said: a decision, or to whom they have left it. Times are RFC 3339. */
export type AnswerView = {
  readonly by: string;
  readonly decision: 'approve' | 'reject' | null;
  readonly to: string | null;
  readonly reason: string | null;
  readonly at: string;
};

/** What an attempt of a task asks people. */
export type ClarificationView = {
  readonly execution: string;
  readonly task: string;
  readonly attempt: number;
  readonly title: string;
  readonly description: string | null;
  /** Withdrawn: the attempt has ended otherwise. */
  readonly status: 'pending' | 'approved' | 'rejected' | 'expired' | 'withdrawn';
  /** Empty: whoever has the permission. */
  readonly approvers: readonly string[];
  /** Approvals that it needs, and has. */
  readonly required: number;
  readonly approvals: number;
  readonly delegable: boolean;
  readonly requestedAt: string;
  readonly expiresAt: string | null;
  readonly onExpiry: 'reject' | 'approve' | 'fail';
  readonly endedAt: string | null;
  /** In the order they came. */
  readonly answers: readonly AnswerView[];
};
