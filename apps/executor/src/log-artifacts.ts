import { type ArtifactRoom, artifactOf, keepBytes, mayBeNamed } from '#libs/artifacts';
import type { ExecutionRef } from '#libs/contracts';
import { LOG_ARTIFACT, Refused, lacksLog } from '#libs/execution';
import type { ArtifactStore, OutputStore } from '#libs/jetstream';
import { LogError, type LogStore, derivedId, load, submit } from '#libs/ledger';
import { logText } from '#libs/output';
import { Backlog } from './backlog.js';
import type { Clock } from './clock.js';

const NAME = 'output.log';

export type LogArtifactsOptions = {
  readonly log: LogStore;
  readonly output: Pick<OutputStore, 'read' | 'lastSequence'>;
  readonly store: Pick<ArtifactStore, 'put' | 'delete'>;
  readonly room: ArtifactRoom;
  /** Bytes of one. */
  readonly maxBytes: number;
  readonly incarnation: string;
  readonly clock: Clock;
  readonly warn: (error: unknown) => void;
};

/**
 * Makes artifacts of the output of executions that have ended, where their plans ask for it, one of each: bytes first, the event after, by
 * compare-and-set. Whoever dies in between leaves bytes that nobody sees, and another one makes it.
 */
export const logArtifacts = ({ log, output, store, room, maxBytes, incarnation, clock, warn }: LogArtifactsOptions): Backlog => {
  const work = async (ref: ExecutionRef, _: number, signal: AbortSignal): Promise<boolean> => {
    const { state } = await load(log, ref);
    if (!lacksLog(state)) return true;
    const claim = await room.claim(ref.tenant);
    const kept = await keepBytes(store, ref, claim.counted(logText(output, ref, { maxBytes, signal })), { name: NAME, maxBytes }).finally(() => claim.release());
    const drop = (): Promise<void> => store.delete({ tenant: ref.tenant, object: kept.object }).catch(() => undefined);
    if (!mayBeNamed(kept)) return drop().then(() => false);
    const artifactId = derivedId(ref.tenant, `${LOG_ARTIFACT} ${ref.execution}`);
    // Also of nothing: it is text that has no line.
    const artifact = artifactOf({ ...kept, mimeType: 'text/plain; charset=utf-8' }, { artifactId, name: NAME, type: 'log', description: 'What its tasks have written' });
    try {
      const context = { now: clock.now(), cause: LOG_ARTIFACT, actor: `executor/${incarnation}`, correlationId: state.correlationId };
      const { events } = await submit(log, ref, { type: 'AddArtifact', artifact }, context);
      if (events.length === 0) await drop();
      return true;
    } catch (error) {
      // Where nobody knows whether the event is stored the bytes have to stay; sweeping finds out.
      if (!(error instanceof LogError && error.code === 'OUTCOME_UNKNOWN')) await drop();
      if (!(error instanceof Refused)) throw error;
      // It has been deleted meanwhile, or takes no more artifacts: trying again changes nothing.
      if (error.code === 'ARTIFACTS_FULL') warn(error);
      return true;
    }
  };
  return new Backlog({ work, atOnce: 2, retryMs: 30_000, clock, warn });
};
