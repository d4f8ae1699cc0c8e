import { type Event, isEventType } from '#libs/contracts';
import { duration, originText, progressText } from './format.js';
import { type Style, printable } from './screen.js';

/** What an event says, for people: about what, and what happened to it. */
type EventLine = { readonly subject: string; readonly text: string; readonly style: Style | undefined };

const failure = ({ code, message }: { readonly code: string; readonly message: string }): string => `${code}: ${message}`;
const because = (reason: string | undefined): string => (reason === undefined ? '' : `: ${reason}`);
const tryOf = (attempt: number): string => (attempt > 1 ? `, attempt ${attempt}` : '');

/** `execution` is the name shown for the execution itself. */
export const eventLine = (event: Event, execution: string): EventLine => {
  const { subject, text, style } = describe(event, execution);
  return { subject: printable(subject), text: printable(text), style };
};

const describe = (event: Event, execution: string): EventLine => {
  const say = (subject: string, text: string, style?: Style): EventLine => ({ subject, text, style });
  if (!isEventType(event.type)) return say(execution, `${String((event as { type: string }).type)} (not known to this version)`, 'yellow');
  switch (event.type) {
    case 'ExecutionRequested': {
      const { plan, origin, parent, following } = event.data;
      const more = following === undefined ? '' : ', more to come';
      const after = origin ? `, ${originText({ ...origin, task: origin.task ?? null })}` : '';
      const of = parent ? `, as attempt ${parent.attempt} of ${parent.task} of ${parent.execution}` : '';
      return say(execution, `requested, ${plan.tasks.length} task${plan.tasks.length === 1 ? '' : 's'}${more}${after}${of}`);
    }
    case 'ExecutionPlanExtended':
      return say(execution, `requested, ${event.data.tasks.length} more tasks`);
    case 'ExecutionStarted':
      return say(execution, 'started');
    case 'ExecutionPaused':
      return say(execution, `paused${because(event.data.reason)}`, 'yellow');
    case 'ExecutionResumed':
      return say(execution, `resumed${because(event.data.reason)}`);
    case 'ExecutionCancelRequested':
      return say(execution, `cancelling, ${event.data.mode}${because(event.data.reason)}`, 'yellow');
    case 'ExecutionCommandSatisfied':
      return say(execution, `${event.data.command} found nothing left to do`, 'dim');
    case 'ExecutionCompensationStarted': {
      const { reason } = event.data;
      return say(execution, `undoing what was done${reason ? `, ${failure(reason)}` : ''}`, 'yellow');
    }
    case 'ExecutionCancelled':
      return say(execution, `cancelled${because(event.data.reason)}`, 'yellow');
    case 'ExecutionCompleted':
      return say(execution, 'completed', 'green');
    case 'ExecutionFailed':
      return say(execution, `failed, ${failure(event.data.reason)}`, 'red');
    case 'ExecutionDeleted':
      return say(execution, `deleted by ${event.actor}${because(event.data.reason)}`, 'yellow');
    case 'ExecutionMetadataRecorded': {
      const { taskId, key, value } = event.data;
      return say(taskId, `${key} is ${value}`, 'dim');
    }
    case 'SignalReceived':
      return say(execution, `signal ${event.data.name} from ${event.actor}`);
    case 'ArtifactCreated': {
      const { artifactId, taskId, name, size } = event.data;
      return say(taskId ?? execution, `artifact ${name}, ${size} bytes, ${artifactId}`, 'dim');
    }
    case 'ArtifactDeleted':
      return say(execution, `artifact ${event.data.artifactId} deleted by ${event.actor}`, 'dim');
    case 'ArtifactExpired':
      return say(execution, `artifact ${event.data.artifactId} expired`, 'dim');
    case 'TaskStarted': {
      const { taskId, attempt, wakeAt, signal, event: awaited, child } = event.data;
      const wait = wakeAt === undefined ? '' : `, waits ${duration(Date.parse(wakeAt) - Date.parse(event.at))}`;
      const word = signal === undefined ? '' : `, waits for signal ${signal}`;
      const of = child === undefined ? '' : ` as execution ${child}`;
      return say(taskId, `started${tryOf(attempt)}${of}${wait}${word}${awaited ? `, waits for an event ${awaited.subject}` : ''}`);
    }
    case 'TaskExpanded': {
      const { taskId, first, count, items, notBefore } = event.data;
      const wait = notBefore === undefined ? '' : ` in ${duration(Date.parse(notBefore) - Date.parse(event.at))}`;
      return say(taskId, items.length === count ? `is done for ${count} item${count === 1 ? '' : 's'}` : `iteration ${first}${wait}`);
    }
    case 'TaskCompleted':
      return say(event.data.taskId, 'completed', 'green');
    case 'TaskFailed': {
      const { taskId, error, final } = event.data;
      return say(taskId, `failed, ${failure(error)}`, final ? 'red' : 'yellow');
    }
    case 'TaskTimedOut': {
      const { taskId, timeoutMs, final } = event.data;
      return say(taskId, `timed out after ${duration(timeoutMs)}`, final ? 'red' : 'yellow');
    }
    case 'TaskRetryScheduled': {
      const { taskId, attempt, at } = event.data;
      return say(taskId, `attempt ${attempt} in ${duration(Date.parse(at) - Date.parse(event.at))}`);
    }
    case 'TaskSkipped':
      return say(event.data.taskId, `skipped, ${event.data.why}`, 'dim');
    case 'TaskCancelled':
      return say(event.data.taskId, 'cancelled', 'yellow');
    case 'TaskProgressed':
      return say(event.data.taskId, progressText(event.data), 'dim');
    case 'TaskCarriedOver': {
      const { taskId, status, from } = event.data;
      return say(taskId, `${status} in ${from}, carried over`, 'dim');
    }
    case 'TaskResultIgnored':
      return say(event.data.taskId, `late result ignored, ${event.data.why}`, 'dim');
    case 'ClarificationRequested': {
      const { taskId, title, approvers, required, expiresAt } = event.data;
      const until = expiresAt === undefined ? '' : `, within ${duration(Date.parse(expiresAt) - Date.parse(event.at))}`;
      return say(taskId, `asks for approval: ${title} (${required} by ${approvers.length === 0 ? 'whoever may' : approvers.join(', ')}${until})`, 'yellow');
    }
    case 'ClarificationResponded': {
      const { taskId, decision, reason } = event.data;
      return say(taskId, `${decision === 'approve' ? 'approved' : 'rejected'} by ${event.actor}${because(reason)}`, decision === 'approve' ? 'green' : 'red');
    }
    case 'ClarificationDelegated':
      return say(event.data.taskId, `left by ${event.actor} to ${event.data.to}`);
    case 'ClarificationExpired':
      return say(event.data.taskId, 'not answered in time', 'yellow');
    case 'ClarificationWithdrawn':
      return say(event.data.taskId, 'nobody is asked any more', 'dim');
    case 'StepStarted':
      return say(event.data.taskId, `step ${event.data.name}`, 'dim');
    case 'StepCompleted':
      return say(event.data.taskId, `step ${event.data.stepId} completed`, 'dim');
    case 'StepFailed':
      return say(event.data.taskId, `step ${event.data.stepId} failed, ${event.data.error}`, 'yellow');
    case 'StepSkipped':
      return say(event.data.taskId, `step ${event.data.stepId} skipped, ${event.data.why}`, 'dim');
  }
};
