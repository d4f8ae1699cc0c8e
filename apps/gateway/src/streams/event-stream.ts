import type { FastifyReply } from 'fastify';
import type { FeedPlace } from '#libs/jetstream';
import { type Frame, cursorOf } from './frame.js';
import { BUFFER_BYTES, type Ending, FAREWELL_MS, type Sink, endings } from './sink.js';

export const EVENT_STREAM = 'text/event-stream; charset=utf-8';

/** Milliseconds after which a browser comes back by itself. */
const RETRY_MS = 1_000;

const block = (fields: readonly string[], data: Buffer): Buffer => Buffer.concat([Buffer.from(`${fields.join('\n')}\ndata: `), data, Buffer.from('\n\n')]);

/**
 * Server-sent events. An event has its position as id and its CloudEvent as data, and no name: `onmessage` gets it. What has a name:
 * `snapshot`, and `dropped` before this side ends it.
 */
export class EventStream implements Sink {
  private written = 0;

  constructor(private readonly reply: FastifyReply) {
    void reply.hijack();
    const { raw } = reply;
    // Nothing is to be waited for that is sent already, nor to be buffered on the way.
    for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value);
    raw.writeHead(200, { 'content-type': EVENT_STREAM, 'x-accel-buffering': 'no' });
    raw.socket?.setNoDelay(true);
    raw.on('error', () => undefined);
    this.write(Buffer.from(`retry: ${RETRY_MS}\n\n`));
  }

  get isFull(): boolean {
    return this.buffered >= BUFFER_BYTES;
  }

  get taken(): number {
    return this.written - this.buffered;
  }

  room(): Promise<void> {
    const { raw } = this.reply;
    if (!this.isFull || raw.closed) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        raw.off('drain', done).off('close', done);
        resolve();
      };
      raw.on('drain', done).on('close', done);
    });
  }

  snapshot(place: FeedPlace, body: Buffer): void {
    this.write(block(['event: snapshot', `id: ${cursorOf(place)}`], body));
  }

  event(frame: Frame): void {
    this.write(frame.asEventStream);
  }

  beat(place: FeedPlace): void {
    // Without data nothing is dispatched, but a browser comes back with this id.
    this.write(Buffer.from(`: heartbeat\nid: ${cursorOf(place)}\n\n`));
  }

  end(why: Ending, place: FeedPlace): void {
    const { raw } = this.reply;
    const position = cursorOf(place);
    if (why !== 'COMPLETE') this.write(block(['event: dropped', `id: ${position}`], Buffer.from(JSON.stringify({ code: why, position, detail: endings[why] }))));
    raw.end();
    setTimeout(() => raw.destroy(), FAREWELL_MS).unref();
  }

  onGone(callback: () => void): void {
    if (this.reply.raw.closed) callback();
    else this.reply.raw.once('close', callback);
  }

  /** Of the response, and of the socket below it. */
  private get buffered(): number {
    return this.reply.raw.writableLength;
  }

  private write(bytes: Buffer): void {
    const { raw } = this.reply;
    this.written += bytes.length;
    if (raw.writableCorked === 0) {
      // What comes together goes together: a write to a socket costs more than what is written.
      raw.cork();
      process.nextTick(() => raw.uncork());
    }
    raw.write(bytes);
  }
}
