import { type Event, type ExecutionRef, eventId, feedSubject } from '#libs/contracts';

/** A commit as the log holds it, as far as the feed needs it. */
type Committed = {
  readonly ref: ExecutionRef;
  readonly sequence: number;
  readonly commit: { readonly version: number; readonly events: readonly Event[] };
};

const subjectOf = (execution: string, event: Event): string => {
  const { taskId, stepId } = event.data as { readonly taskId?: string; readonly stepId?: string };
  return [execution, taskId, stepId].filter((part) => part !== undefined).join('/');
};

/** One committed event as the CloudEvent that the public feed carries; see feed.proto. The same at every rebuild. */
export const feedEvent = (
  { ref, sequence, commit }: Committed,
  index: number,
  event: Event,
): { readonly subject: string; readonly body: string; readonly position: string } => {
  const position = `${sequence}/${index}`;
  return {
    subject: feedSubject(ref, event.type),
    position,
    body: JSON.stringify({
      specversion: '1.0',
      id: eventId(ref.execution, commit.version, index),
      source: `/runledger/${ref.tenant}`,
      type: `runledger.v1.${event.type}`,
      subject: subjectOf(ref.execution, event),
      time: event.at,
      datacontenttype: 'application/json',
      data: event.data,
      position,
      tenant: ref.tenant,
      execution: ref.execution,
      version: commit.version,
      cause: event.cause,
      actor: event.actor,
      correlationid: event.correlationId,
    }),
  };
};
