import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { CliError } from './cli-error.js';
import { EXIT, type ExitCode } from './exit-codes.js';

const TIMEOUT_MS = 35_000;
const TRIES = 4;
const RETRY_MS = 500;

export type Query = Readonly<Record<string, string | number | readonly string[] | undefined>>;

type Problem = { readonly code?: string; readonly detail?: string; readonly problems?: readonly { path: string; message: string }[] };

const exitOf = (status: number): ExitCode =>
  status === 404 || status === 410 ? EXIT.notFound : status >= 500 ? EXIT.unavailable : EXIT.refused;

const reasonOf = (error: unknown): string => {
  const { cause, message } = error as { cause?: { code?: string; message?: string }; message?: string };
  return cause?.code ?? cause?.message ?? message ?? String(error);
};

/** Problem details as one message: the first fault is in `detail` already. */
const refusal = (status: number, text: string): CliError => {
  let problem: Problem = {};
  try {
    problem = JSON.parse(text) as Problem;
  } catch {
    // Not ours: a proxy's page, say. Its beginning tells more than nothing.
  }
  const { code = `HTTP_${status}`, detail = text.slice(0, 200), problems = [] } = problem;
  const hint = status === 401 ? '; this command line sends what RUNLEDGER_TOKEN holds' : '';
  const more = problems.slice(1).map(({ path, message }) => `\n  ${path}: ${message}`);
  return new CliError(exitOf(status), code, `${detail || `the server answered ${status}`}${hint}${more.join('')}`, problem);
};

const withQuery = (path: string, query: Query): string => {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined) params.append(name, String(one));
  }
  return params.size > 0 ? `${path}?${params.toString()}` : path;
};

/** Who asks: `token` is an API key or a JSON Web Token. Without a tenant the server takes that of the credentials, or its own. */
export type Caller = { readonly tenant?: string | undefined; readonly token?: string | undefined };

/** The REST API. Everything throws CliError: notFound, refused or unavailable. */
export class Api {
  private readonly base: string;
  private readonly identity: Readonly<Record<string, string>>;

  constructor(url: string, { tenant, token }: Caller = {}) {
    this.base = `${url.replace(/\/+$/, '')}/api/v1`;
    this.identity = {
      ...(tenant !== undefined && { 'x-tenant-id': tenant }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    };
  }

  get<T>(path: string, query: Query = {}): Promise<T> {
    return this.ask<T>('GET', withQuery(path, query), {});
  }

  /** What is answered as text. */
  text(path: string, query: Query = {}): Promise<string> {
    return this.answerTo('GET', withQuery(path, query), {});
  }

  /** Done twice it is done; so are deletions. */
  put<T>(path: string, body: object): Promise<T> {
    return this.ask<T>('PUT', path, {}, body);
  }

  delete<T>(path: string): Promise<T> {
    return this.ask<T>('DELETE', path, {});
  }

  /** One key for all tries: whether or not a lost try was stored, it counts once. */
  async post<T>(path: string, body?: object): Promise<T> {
    const headers = { 'idempotency-key': randomUUID() };
    for (let tries = 1; ; tries++) {
      try {
        return await this.ask<T>('POST', path, headers, body);
      } catch (error) {
        const lost = error instanceof CliError && (error.code === 'CONNECTION_LOST' || error.code === 'OUTCOME_UNKNOWN');
        if (!lost || tries === TRIES) throw error;
        await pause(RETRY_MS);
      }
    }
  }

  /** Bytes as they come, for as long as they do. */
  async download(path: string, query: Query = {}, signal?: AbortSignal): Promise<Readable> {
    const answer = await this.send('GET', withQuery(path, query), {}, { ...(signal && { signal }) });
    if (!answer.ok || !answer.body) throw refusal(answer.status, await answer.text());
    return Readable.fromWeb(answer.body as Parameters<typeof Readable.fromWeb>[0]);
  }

  /**
   * A form with fields and a file of so many bytes, which is read as it is sent: it can't be sent again. The server is told how many come,
   * and refuses what is too much before it is sent.
   */
  async upload<T>(path: string, fields: readonly (readonly [name: string, value: string])[], { name, size, bytes }: { readonly name: string; readonly size: number; readonly bytes: AsyncIterable<Uint8Array> }): Promise<T> {
    const boundary = randomUUID();
    const part = (field: string, more = ''): string => `--${boundary}\r\nContent-Disposition: form-data; name="${field}"${more}\r\n\r\n`;
    const texts = fields.map(([field, value]) => `${part(field)}${value}\r\n`);
    const before = Buffer.from([...texts, part('file', `; filename="${name.replace(/["\\\r\n]/g, '_')}"`)].join(''));
    const behind = Buffer.from(`\r\n--${boundary}--\r\n`);
    async function* form(): AsyncGenerator<Uint8Array> {
      yield before;
      yield* bytes;
      yield behind;
    }
    const length = before.length + size + behind.length;
    const headers = { 'content-length': String(length), 'content-type': `multipart/form-data; boundary=${boundary}`, 'idempotency-key': randomUUID() };
    const answer = await this.send('POST', path, headers, { body: ReadableStream.from(form()) });
    const text = await answer.text();
    if (!answer.ok) throw refusal(answer.status, text);
    return JSON.parse(text) as T;
  }

  /** What a file goes through takes as long as it takes. */
  private async send(method: string, path: string, headers: Readonly<Record<string, string>>, more: { readonly body?: ReadableStream; readonly signal?: AbortSignal }): Promise<Response> {
    try {
      return await fetch(this.base + path, { method, headers: { ...this.identity, ...headers }, ...more, ...(more.body && { duplex: 'half' }) });
    } catch (error) {
      throw new CliError(EXIT.unavailable, 'CONNECTION_LOST', `no answer from ${this.base} (${reasonOf(error)}); is Runledger up there? Set --url or RUNLEDGER_URL, or start it: runledger up`);
    }
  }

  private async ask<T>(method: string, path: string, headers: Readonly<Record<string, string>>, body?: object): Promise<T> {
    const text = await this.answerTo(method, path, headers, body);
    try {
      return (text === '' ? undefined : JSON.parse(text)) as T;
    } catch {
      throw new CliError(EXIT.unavailable, 'ANSWER_INVALID', `${this.base}${path} does not answer as Runledger does; check --url`);
    }
  }

  private async answerTo(method: string, path: string, headers: Readonly<Record<string, string>>, body?: object): Promise<string> {
    const url = this.base + path;
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const type = body === undefined ? {} : { 'content-type': 'application/json' };
    let response: { readonly ok: boolean; readonly status: number };
    let text: string;
    try {
      const answer = await fetch(url, {
        method,
        signal,
        headers: { ...this.identity, ...headers, ...type },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      response = answer;
      text = await answer.text();
    } catch (error) {
      const why = reasonOf(error);
      const code = why === 'ECONNREFUSED' || why === 'ENOTFOUND' ? 'UNREACHABLE' : 'CONNECTION_LOST';
      const message = `no answer from ${this.base} (${why}); is Runledger up there? Set --url or RUNLEDGER_URL, or start it: runledger up`;
      throw new CliError(EXIT.unavailable, code, message);
    }
    if (!response.ok) throw refusal(response.status, text);
    return text;
  }
}

/** What only reads. */
export type Reader = Pick<Api, 'get'>;
