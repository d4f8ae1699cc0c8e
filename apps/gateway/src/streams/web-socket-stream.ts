import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { FeedPlace } from '#libs/jetstream';
import { type Frame, cursorOf } from './frame.js';
import { BUFFER_BYTES, type Ending, FAREWELL_MS, type Sink, endings } from './sink.js';

const codes: Readonly<Record<Ending, number>> = {
  COMPLETE: 1000,
  EXECUTION_DELETED: 1000,
  SERVER_STOPPING: 1001,
  CREDENTIALS_EXPIRED: 1008,
  CURSOR_EXPIRED: 1008,
  LOG_REPLACED: 1012,
  SLOW_READER: 1013,
};

const unexpected = JSON.stringify({
  type: 'error',
  code: 'MESSAGE_UNEXPECTED',
  detail: 'what this stream shows is said by its address; open another one for something else',
});

/** Nobody needs to send anything: who sends so many between two heartbeats is sent away. */
const MESSAGES = 100;

/** JSON messages: `snapshot`, `event`, `heartbeat`, `dropped`, each with the position to come back with. */
export class WebSocketStream implements Sink {
  private written = 0;
  private isAlive = true;
  /** Messages since the last heartbeat. */
  private heard = 0;

  constructor(
    private readonly webSocket: WebSocket,
    private readonly socket: Socket,
  ) {
    socket.setNoDelay(true);
    webSocket.on('pong', () => (this.isAlive = true));
    webSocket.on('message', () => {
      this.isAlive = true;
      this.heard += 1;
      if (this.heard > MESSAGES) this.webSocket.terminate();
      else if (this.heard === MESSAGES) this.webSocket.close(1008, 'MESSAGE_UNEXPECTED');
      else if (!this.isFull) this.send(unexpected);
    });
  }

  get isFull(): boolean {
    return this.webSocket.bufferedAmount >= BUFFER_BYTES;
  }

  get taken(): number {
    return this.written - this.webSocket.bufferedAmount;
  }

  room(): Promise<void> {
    const { socket } = this;
    if (!this.isFull || socket.closed) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        socket.off('drain', done).off('close', done);
        resolve();
      };
      socket.on('drain', done).on('close', done);
    });
  }

  snapshot(place: FeedPlace, body: Buffer): void {
    this.send(Buffer.concat([Buffer.from(`{"type":"snapshot","position":"${cursorOf(place)}","snapshot":`), body, Buffer.from('}')]));
  }

  event(frame: Frame): void {
    this.send(frame.asMessage);
  }

  beat(place: FeedPlace): void {
    // Whose machine is gone does not say so.
    if (!this.isAlive) return this.webSocket.terminate();
    this.isAlive = false;
    this.heard = 0;
    this.webSocket.ping();
    this.send(JSON.stringify({ type: 'heartbeat', position: cursorOf(place) }));
  }

  end(why: Ending, place: FeedPlace): void {
    const position = cursorOf(place);
    if (why !== 'COMPLETE') this.send(JSON.stringify({ type: 'dropped', position, code: why, detail: endings[why] }));
    this.webSocket.close(codes[why], why === 'COMPLETE' ? why : `${why} after=${position}`);
    setTimeout(() => this.webSocket.terminate(), FAREWELL_MS).unref();
  }

  onGone(callback: () => void): void {
    if (this.socket.closed) callback();
    else this.socket.once('close', callback);
  }

  private send(message: Buffer | string): void {
    this.written += message.length;
    if (this.socket.writableCorked === 0) {
      // What comes together goes together: a write to a socket costs more than what is written.
      this.socket.cork();
      process.nextTick(() => this.socket.uncork());
    }
    this.webSocket.send(message, { binary: false });
  }
}
