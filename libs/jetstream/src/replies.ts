import type { Msg, MsgHdrs, NatsConnection } from '@nats-io/transport-node';

/**
 * What became of a request. `silent`: no answer in time, or the connection was lost before it came, so the broker may or may
 * not have acted. `unheard`: nobody listens on the subject, or there was no connection to send it on: certainly nothing was done.
 */
export type Reply = Msg | 'silent' | 'unheard';

type Expectation = { readonly message: (message: Msg) => void; readonly lost: () => void };

/**
 * Answers to what this process asks the broker, all on one subscription. Unlike nats.js's own requests these end with the
 * connection they were made on, instead of waiting for their time to run out.
 */
export class Replies {
  private readonly prefix: string;
  private readonly expected = new Map<string, Expectation>();
  private count = 0;
  private isUp = true;

  constructor(
    private readonly connection: NatsConnection,
    inbox: string,
  ) {
    this.prefix = `${inbox}.`;
    connection.subscribe(`${this.prefix}*`, {
      callback: (error, message) => {
        if (!error) this.expected.get(message.subject)?.message(message);
      },
    });
  }

  /** A subject of its own for the answers to one request; `lost` is called when the connection they would come on is gone. */
  expect(expectation: Expectation): { readonly subject: string; close(): void } {
    this.count += 1;
    const subject = this.prefix + this.count.toString(36);
    this.expected.set(subject, expectation);
    return { subject, close: () => void this.expected.delete(subject) };
  }

  connectionRestored(): void {
    this.isUp = true;
  }

  connectionLost(): void {
    this.isUp = false;
    for (const { lost } of this.expected.values()) lost();
  }

  /** One request with one answer. Never rejects. */
  request(subject: string, body: Uint8Array | string, timeoutMs: number, headers?: MsgHdrs): Promise<Reply> {
    // nats.js would take it, and discard it at the next connect.
    if (!this.isUp) return Promise.resolve('unheard');
    return new Promise((resolve) => {
      const end = (reply: Reply): void => {
        clearTimeout(timer);
        inbox.close();
        resolve(reply);
      };
      const timer = setTimeout(() => end('silent'), timeoutMs);
      const inbox = this.expect({
        message: (message) => end(message.data.length === 0 && message.headers?.code === 503 ? 'unheard' : message),
        lost: () => end('silent'),
      });
      try {
        this.connection.publish(subject, body, { reply: inbox.subject, ...(headers && { headers }) });
      } catch {
        // nats.js refuses before it sends: closed or draining.
        end('unheard');
      }
    });
  }
}
