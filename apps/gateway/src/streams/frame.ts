import type { ExecutionRef } from '#libs/contracts';
import type { FeedPlace } from '#libs/jetstream';

type Labels = Readonly<Record<string, string>>;

/** `<log sequence>/<index>`: what clients come back with. */
export const cursorOf = ({ sequence, index }: FeedPlace): string => `${sequence}/${index}`;

const eol = Buffer.from('\n\n');

/**
 * One committed event on its way to many clients, as the public feed has it. What goes over the wire is made once, by the first who
 * needs it.
 */
export class Frame {
  /** Of its execution; undefined until they were needed. */
  labels: Labels | undefined;
  private sse: Buffer | undefined;
  private message: Buffer | undefined;

  private constructor(
    readonly ref: ExecutionRef,
    readonly place: FeedPlace,
    /** Of the event, without the contract's name: `TaskCompleted`. */
    readonly type: string,
    readonly task: string | undefined,
    private readonly body: Uint8Array,
  ) {}

  /** `body`: JSON of a CloudEvent as the feed has them. Throws Error for anything else. */
  static of(body: Uint8Array): Frame {
    type Envelope = { tenant: string; execution: string; position: string; type: string; data: { taskId?: string; labels?: Labels } };
    const { tenant, execution, position, type, data } = (JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString()) ?? {}) as Partial<Envelope>;
    const [, sequence, index] = /^(\d+)\/(\d+)$/.exec(String(position)) ?? [];
    if (typeof tenant !== 'string' || typeof execution !== 'string' || typeof type !== 'string' || sequence === undefined || typeof data !== 'object' || data === null) {
      throw new Error('JSON, but not an event as the feed has them');
    }
    const name = type.slice(type.lastIndexOf('.') + 1);
    const frame = new Frame({ tenant, execution }, { sequence: Number(sequence), index: Number(index) }, name, data.taskId, body);
    if (name === 'ExecutionRequested') frame.labels = data.labels ?? {};
    return frame;
  }

  get bytes(): number {
    return this.body.length;
  }

  /** Whether it is the same event of the same log. */
  isSame(body: string): boolean {
    return Buffer.from(body).equals(this.body);
  }

  get asEventStream(): Buffer {
    return (this.sse ??= Buffer.concat([Buffer.from(`id: ${cursorOf(this.place)}\ndata: `), this.body, eol]));
  }

  get asMessage(): Buffer {
    return (this.message ??= Buffer.concat([Buffer.from(`{"type":"event","position":"${cursorOf(this.place)}","event":`), this.body, Buffer.from('}')]));
  }
}
