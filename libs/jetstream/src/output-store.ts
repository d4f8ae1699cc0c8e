import { headers } from '@nats-io/transport-node';
import { type ExecutionRef, outputFilter, outputSubject } from '#libs/contracts';
import { LogError } from '#libs/ledger';
import { toAnswer } from './codes.js';
import type { Nats } from './connection.js';
import { purgeSubject } from './purge.js';
import { type DirectMessage, directLastUpTo, directRange, leaderGet } from './read.js';

/** A piece of a task's output; see OutputChunk in commands.proto. */
type OutputPiece = {
  readonly attempt: number;
  readonly stream: 'stdout' | 'stderr';
  readonly chunk: number;
  readonly time: string;
  readonly truncated: boolean;
  /** Behind it no line of the attempt's other stream is without its end; where that is not known, absent or false. */
  readonly otherEnded?: boolean;
  readonly bytes: Uint8Array;
};

export type StoredOutput = OutputPiece & {
  readonly sequence: number;
  /** By the broker's clock, as a commit's. */
  readonly storedAt: string;
  readonly task: string;
};

const TIMEOUT_MS = 5_000;

const toStored = (message: DirectMessage): StoredOutput => ({
  sequence: message.sequence,
  storedAt: message.storedAt,
  task: message.subject.slice(message.subject.lastIndexOf('.') + 1),
  attempt: Number(message.header('Runledger-Attempt')),
  stream: message.header('Runledger-Stream') === 'stderr' ? 'stderr' : 'stdout',
  chunk: Number(message.header('Runledger-Chunk')),
  time: message.header('Runledger-Time') ?? message.storedAt,
  truncated: message.header('Runledger-Truncated') === 'true',
  otherEnded: message.header('Runledger-Other-Ended') === 'true',
  bytes: message.data,
});

/** Output of tasks: stream LOGS. */
export class OutputStore {
  constructor(private readonly nats: Nats) {}

  /** Milliseconds since the epoch of the last (re)connect: a broker that was killed may have lost what it has told before. */
  get connectedSince(): number {
    return this.nats.connectedSince;
  }

  /** Resolves once the broker has it. Throws LogError LOG_UNAVAILABLE when it did not say so within 5 s. */
  async append(ref: ExecutionRef, task: string, piece: OutputPiece): Promise<void> {
    const all = headers();
    all.set('Runledger-Attempt', String(piece.attempt));
    all.set('Runledger-Stream', piece.stream);
    all.set('Runledger-Chunk', String(piece.chunk));
    all.set('Runledger-Time', piece.time);
    if (piece.truncated) all.set('Runledger-Truncated', 'true');
    if (piece.otherEnded) all.set('Runledger-Other-Ended', 'true');
    const subject = outputSubject(ref, task);
    const answer = toAnswer(await this.nats.replies.request(subject, piece.bytes, TIMEOUT_MS, all));
    if (typeof answer !== 'string' && answer.error === undefined) return;
    const why = typeof answer === 'string' ? 'the broker does not answer' : (answer.error?.description ?? 'no reason given');
    throw new LogError('LOG_UNAVAILABLE', `output not stored: ${why}`);
  }

  /** Of a task or of all the first piece from a sequence on, as the stream's leader knows it. Throws LogError LOG_UNAVAILABLE. */
  async firstFrom(ref: ExecutionRef, task: string | undefined, sequence: number): Promise<Pick<StoredOutput, 'sequence' | 'storedAt'> | undefined> {
    const subject = task === undefined ? outputFilter(ref) : outputSubject(ref, task);
    return await leaderGet(this.nats, 'LOGS', { seq: sequence, next_by_subj: subject });
  }

  /** Removes all output of an execution. Throws LogError LOG_UNAVAILABLE. */
  async purge(ref: ExecutionRef): Promise<void> {
    await purgeSubject(this.nats, 'LOGS', outputFilter(ref));
  }

  /** Of the last piece of an execution, 0 where there is none: unlike `read`, which may be answered by a replica, this is never behind. Throws LogError LOG_UNAVAILABLE. */
  async lastSequence(ref: ExecutionRef): Promise<number> {
    return (await leaderGet(this.nats, 'LOGS', { last_by_subj: outputFilter(ref) }))?.sequence ?? 0;
  }

  /** Pieces in the order stored, of one task or of all, behind a sequence. Throws LogError LOG_UNAVAILABLE. */
  async read(
    ref: ExecutionRef,
    task: string | undefined,
    range: { readonly afterSequence?: number; readonly limit?: number } = {},
  ): Promise<{ readonly chunks: readonly StoredOutput[]; readonly more: boolean }> {
    const subject = task === undefined ? outputFilter(ref) : outputSubject(ref, task);
    const { afterSequence = 0, limit = Infinity } = range;
    const { messages, more } = await directRange(this.nats, 'LOGS', subject, { from: afterSequence + 1, limit });
    return { chunks: messages.map(toStored), more };
  }

  /**
   * Of each task the last piece up to a sequence, in the order stored; of one task, or of all where they are at most so many. Undefined where
   * they are more. Throws LogError LOG_UNAVAILABLE.
   */
  async last(ref: ExecutionRef, task: string | undefined, range: { readonly upTo?: number; readonly tasks: number }): Promise<readonly StoredOutput[] | undefined> {
    const subject = task === undefined ? outputFilter(ref) : outputSubject(ref, task);
    const messages = await directLastUpTo(this.nats, 'LOGS', subject, { most: range.tasks, ...(range.upTo !== undefined && { upTo: range.upTo }) });
    return messages?.map(toStored);
  }
}
