import type { CancelMode, Event, EventData, Fact, Failure, Json, JsonObject, Origin, Plan } from '#libs/contracts';
import type { NewArtifact } from './artifacts.js';
import type { TaskProgress } from './task-state.js';

/** What a client asks for. */
export type ClientCommand =
  | {
      readonly type: 'RequestExecution';
      /** As parsePlan returned it. */
      readonly plan: Plan;
      readonly name: string;
      readonly labels: Readonly<Record<string, string>>;
      readonly input: JsonObject;
      readonly dialect: string;
      /** What it carries on, and what is taken over of that; see successorOf. */
      readonly origin?: Origin;
      readonly carried?: readonly Fact[];
      /** The attempt that asks for it, where no client does. */
      readonly parent?: NonNullable<EventData['ExecutionRequested']['parent']>;
    }
  | { readonly type: 'PauseExecution'; readonly reason?: string }
  | { readonly type: 'ResumeExecution'; readonly reason?: string }
  | { readonly type: 'CancelExecution'; readonly mode: CancelMode; readonly reason?: string }
  | { readonly type: 'DeleteExecution'; readonly reason?: string }
  | { readonly type: 'SendSignal'; readonly name: string; readonly payload: JsonObject }
  /** The context's actor answers; `roles` are theirs. */
  | { readonly type: 'RespondToClarification'; readonly taskId: string; readonly decision: 'approve' | 'reject'; readonly reason?: string; readonly roles: readonly string[] }
  | { readonly type: 'DelegateClarification'; readonly taskId: string; readonly to: string; readonly roles: readonly string[] }
  /** Its bytes are stored. */
  | { readonly type: 'AddArtifact'; readonly artifact: NewArtifact }
  | { readonly type: 'DeleteArtifact'; readonly artifactId: string }
  /** Of who looks after artifacts: changes nothing before the artifact's time. */
  | { readonly type: 'ExpireArtifact'; readonly artifactId: string };

/** What the owner of an execution tells it. */
export type OwnerCommand =
  /** `after`: log sequence of the execution's last commit. `child`: id of the execution that the attempt is to be, where it is one. `input` is the plan's with its templates evaluated, where the core itself needs it: what a wait waits for. `items`: what a fan-out is for. */
  | { readonly type: 'StartTask'; readonly taskId: string; readonly executor: string; readonly after?: number; readonly child?: string; readonly input?: JsonObject; readonly items?: readonly Json[] }
  /** A task that is due is not to run: its condition is false. */
  | { readonly type: 'SkipTask'; readonly taskId: string }
  /** A task that is due can't be started, and could not be later; or nobody can say whether a loop is over. */
  | { readonly type: 'FailTask'; readonly taskId: string; readonly error: Failure }
  | { readonly type: 'RecordOutcome'; readonly taskId: string; readonly attempt: number; readonly outcome: TaskOutcome }
  | { readonly type: 'RecordProgress'; readonly taskId: string; readonly attempt: number; readonly progress: TaskProgress }
  | { readonly type: 'RecordLostAttempt'; readonly taskId: string; readonly attempt: number }
  | { readonly type: 'RecordArtifact'; readonly taskId: string; readonly attempt: number; readonly artifact: NewArtifact }
  | { readonly type: 'RecordMetadata'; readonly taskId: string; readonly attempt: number; readonly key: string; readonly value: string }
  | { readonly type: 'RecordStep'; readonly taskId: string; readonly attempt: number; readonly step: StepProgress }
  /** The event that an attempt waits for has been committed; `event` tells which, and becomes the result. */
  | { readonly type: 'RecordEvent'; readonly taskId: string; readonly attempt: number; readonly event: JsonObject }
  /** An iteration of a loop has ended well, and it was the last or was not. */
  | { readonly type: 'DecideLoop'; readonly taskId: string; readonly isOver: boolean }
  /** The execution that an attempt is has ended. */
  | { readonly type: 'RecordChildEnd'; readonly taskId: string; readonly attempt: number; readonly end: ChildEnd }
  /** Applies what time has brought about and what is left of earlier decisions. */
  | { readonly type: 'Advance' };

export type Command = ClientCommand | OwnerCommand;

export type TaskOutcome =
  | { readonly ok: true; readonly result: JsonObject }
  | {
      readonly ok: false;
      readonly error: Failure;
      readonly result?: JsonObject;
      /** Milliseconds that the other side wants to be left alone; see backoffMs. */
      readonly retryAfterMs?: number;
    };

/** How an execution ended. `lost`: there is none, or none whose history can be trusted; `reason` says why. */
export type ChildEnd =
  | { readonly status: 'completed'; readonly result: JsonObject }
  | { readonly status: 'failed' | 'lost'; readonly reason: Failure }
  | { readonly status: 'cancelled' };

export type StepProgress =
  | { readonly kind: 'started'; readonly name: string; readonly metadata: Readonly<Record<string, string>> }
  | { readonly kind: 'completed' }
  | { readonly kind: 'failed'; readonly error: string };

/** What comes in with a command: the core has neither clock nor ids of its own. */
export type Context = {
  /** Milliseconds since the epoch. An event is never older than the one before it, whatever the clock says. */
  readonly now: number;
  /** Names the command: one that comes again with the same cause changes nothing. See keyedCause. */
  readonly cause: string;
  readonly actor: string;
  readonly correlationId: string;
};

/**
 * The cause of a command that its client named with a key. The fingerprint tells what was asked for: the same key with another
 * fingerprint is refused. It holds no `#`.
 */
export const keyedCause = (key: string, fingerprint: string): string => `${key}#${fingerprint}`;

/** A cause that no client named is a key of its own, without fingerprint. */
export const parseCause = (cause: string): { readonly key: string; readonly fingerprint: string } => {
  const at = cause.lastIndexOf('#');
  return at < 0 ? { key: cause, fingerprint: '' } : { key: cause.slice(0, at), fingerprint: cause.slice(at + 1) };
};

/** Facts as events of this command: the time of each is the clock's, or the last event's where the clock is behind. */
export const stamp = (facts: readonly Fact[], context: Context, lastAt: number): Event[] => {
  if (facts.length === 0) return [];
  const { cause, actor, correlationId } = context;
  const at = new Date(Math.max(context.now, lastAt)).toISOString();
  // Named one by one: spreading a fact takes many times as long, and nothing is done as often.
  return facts.map(({ type, data }) => ({ type, data, at, cause, actor, correlationId }) as Event);
};
