import type { Random } from '../simulation/random.js';

export type Reply = { readonly status: number; readonly body: Readonly<Record<string, unknown>> };

export type Around = {
  readonly urls: readonly string[];
  readonly random: Random;
  readonly tell: (what: string) => void;
  readonly violated: (what: string) => void;
};

/** A request whose body may have to be made anew each time that it is sent. */
export type Sent = { readonly method?: 'POST' | 'DELETE'; readonly path: string; readonly key: string; readonly body?: () => RequestInit['body']; readonly json?: object };

/** Longer than a gateway may wait for a broker that does not answer; one that is paused answers nothing at all. */
const ANSWER_WITHIN_MS = 12_000;

/** Gateways, of which any may be away: requests are sent again, to whichever, until it is known what became of them. */
export class Gateways {
  retries = 0;

  constructor(private readonly around: Around) {}

  /** Undefined where no gateway has a say in the matter now. */
  async read(path: string): Promise<Reply | undefined> {
    return await replied(this.any(path), { method: 'GET' }).catch(() => undefined);
  }

  /** Undefined where it is not answered whole. */
  async bytes(path: string, headers: Readonly<Record<string, string>> = {}): Promise<{ readonly status: number; readonly bytes: Buffer } | undefined> {
    try {
      const response = await fetch(this.any(path), { headers, signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
      return { status: response.status, bytes: Buffer.from(await response.arrayBuffer()) };
    } catch {
      return undefined;
    }
  }

  /** Whatever becomes of it. */
  async sendOnce(path: string, init: RequestInit): Promise<void> {
    await replied(this.any(path), init).catch(() => undefined);
  }

  async send({ method = 'POST', path, key, body, json }: Sent): Promise<Reply> {
    for (;;) {
      const url = this.any(path);
      const headers = { 'idempotency-key': key, ...(json && { 'content-type': 'application/json' }) };
      const content = json ? JSON.stringify(json) : body?.();
      const reply = await replied(url, { method, headers, ...(content !== undefined && { body: content }) }).catch((error: unknown) => String(error));
      if (typeof reply !== 'string' && reply.status < 500 && reply.status !== 429) return reply;
      this.retries += 1;
      this.around.tell(`${key} again, as ${url} said: ${typeof reply === 'string' ? reply : `${reply.status} ${String(reply.body['code'])}`}`);
      await pause(this.around.random.int(50, 500));
    }
  }

  private any(path: string): string {
    return `${this.around.random.pick(this.around.urls)}${path}`;
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms).unref());

/** What became of a command: `applied`, `satisfied`, or the code of a refusal. */
export const toldBy = ({ status, body }: Reply): string => (status < 300 ? (body['changed'] === false ? 'satisfied' : 'applied') : String(body['code']));

const replied = async (url: string, init: RequestInit): Promise<Reply> => {
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
  const text = await response.text();
  return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Reply['body']) };
};
