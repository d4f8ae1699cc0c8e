import type { FeedPlace } from '#libs/jetstream';
import type { Frame } from './frame.js';

/** Why a stream is ended by this side. */
export const endings = {
  SLOW_READER: 'you did not take what was sent; nothing is lost, come back with this position',
  SERVER_STOPPING: 'this gateway stops; come back with this position, to any gateway',
  CREDENTIALS_EXPIRED: 'the credentials no longer count; come back with others, and this position',
  CURSOR_EXPIRED: 'the feed no longer holds what came next; come back without a position: a snapshot comes first',
  LOG_REPLACED: 'the log was restored to an earlier state; come back without a position: a snapshot comes first',
  EXECUTION_DELETED: 'the execution was deleted; nothing comes any more, and nothing of it can be read',
  COMPLETE: 'this was the last event that was asked for',
} as const;
export type Ending = keyof typeof endings;

/** A client at the end of a connection. What is written to it is sent or buffered: `isFull` says when to stop. */
export type Sink = {
  readonly isFull: boolean;
  /** Bytes that were taken from the buffer so far: a reader that takes nothing is told by it. */
  readonly taken: number;
  /** Resolves once it takes more, or has gone away. */
  room(): Promise<void>;
  snapshot(place: FeedPlace, body: Buffer): void;
  event(frame: Frame): void;
  /** Shows that the connection lives, and the position to come back with. */
  beat(place: FeedPlace): void;
  end(why: Ending, place: FeedPlace): void;
  /** Called once when the client has gone away, or has been sent away. */
  onGone(callback: () => void): void;
};

/** Bytes that may wait for one client. What is sent comes on top, be it a snapshot or an event. */
export const BUFFER_BYTES = 128 * 1024;

/** How long somebody who is sent away has to read on to the end, milliseconds. */
export const FAREWELL_MS = 5_000;
