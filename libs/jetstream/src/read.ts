import type { Msg } from '@nats-io/transport-node';
import { LogError } from '#libs/ledger';
import { codes } from './codes.js';
import type { Nats } from './connection.js';
import type { Slots } from './slots.js';

/** A message of a stream, however it was read. */
export type StoredMessage = {
  readonly subject: string;
  readonly sequence: number;
  /** RFC 3339 with milliseconds. */
  readonly storedAt: string;
  readonly data: Uint8Array;
};

/** A message as a direct get returns it. */
export type DirectMessage = StoredMessage & { readonly header: (name: string) => string | undefined };

type Query = {
  readonly seq?: number;
  readonly next_by_subj?: string;
  readonly start_time?: string;
  readonly multi_last?: readonly string[];
  readonly up_to_seq?: number;
  readonly batch?: number;
  readonly max_bytes?: number;
};

/** Longest pause in a page, and longest wait for the leader, before the broker is taken for gone. */
const READ_TIMEOUT_MS = 3_000;
const PAGE = 512;
/** Of the last messages of more subjects than one answer may name none comes. */
const TOO_MANY_SUBJECTS = 413;
/** Of this, times the pages that are read at once, a message each more may be on its way. */
export const PAGE_BYTES = 1024 * 1024;

const milliseconds = (timestamp: string): string => new Date(timestamp).toISOString();

const toMessage = (message: Msg): DirectMessage => ({
  subject: message.headers?.get('Nats-Subject') ?? '',
  sequence: Number(message.headers?.get('Nats-Sequence')),
  storedAt: milliseconds(message.headers?.get('Nats-Time-Stamp') ?? ''),
  data: message.data,
  header: (name) => message.headers?.get(name) || undefined,
});

const unavailable = (stream: string, why: string): LogError =>
  new LogError('LOG_UNAVAILABLE', `stream ${stream} can't be read: ${why}; try again in a moment`);

/** Among whom a page waits, and how long. */
type Turn = { readonly slots: Slots; readonly waitMs: number };

type Page = { readonly messages: readonly DirectMessage[]; readonly pending: number };

/** One page of a direct get, with how many more match behind it, when its turn has come. Throws LogError LOG_UNAVAILABLE; never hangs. */
export const directPage = (nats: Nats, stream: string, query: Query, { slots, waitMs }: Turn = { slots: nats.reads.messages, waitMs: READ_TIMEOUT_MS }): Promise<Page> =>
  slots.take(() => readPage(nats, stream, query), waitMs, () => unavailable(stream, `too many reads wait for the broker: no turn within ${waitMs} ms`));

const readPage = async (nats: Nats, stream: string, query: Query): Promise<Page> => {
  if (!nats.connected) throw unavailable(stream, 'no connection to the broker');
  const messages: DirectMessage[] = [];
  let pending = 0;
  return await new Promise((resolve, reject) => {
    const finish = (why?: string): void => {
      clearTimeout(timer);
      inbox.close();
      if (why === undefined) resolve({ messages, pending });
      else reject(unavailable(stream, why));
    };
    // Restarted by every message: only a broker that has stopped sending is given up.
    const timer = setTimeout(() => finish(`no answer within ${READ_TIMEOUT_MS} ms`), READ_TIMEOUT_MS);
    const inbox = nats.replies.expect({
      lost: () => finish('the connection to the broker was lost'),
      message: (message) => {
        timer.refresh();
        const code = message.headers?.code ?? 0;
        if (code === 204 || code === 404) return finish();
        if (code === TOO_MANY_SUBJECTS) {
          pending = Infinity;
          return finish();
        }
        if (code >= 400) return finish(`${code} ${message.headers?.description ?? ''}`);
        messages.push(toMessage(message));
        const left = message.headers?.get('Nats-Num-Pending');
        // Only a batch says what is left, and ends by a message of its own.
        if (left === undefined || left === '') return finish();
        pending = Number(left);
      },
    });
    try {
      nats.connection.publish(`$JS.API.DIRECT.GET.${stream}`, JSON.stringify(query), { reply: inbox.subject });
    } catch (error) {
      finish(String(error));
    }
  });
};

export type Range = {
  /** First sequence looked at. */
  readonly from: number;
  /** Last sequence wanted; what is returned may go beyond it by less than a page. */
  readonly upTo?: number;
  readonly limit?: number;
};

/** Messages on a subject (wildcards allowed) in order, and whether there are more. Throws LogError LOG_UNAVAILABLE. */
export const directRange = async (
  nats: Nats,
  stream: string,
  subject: string,
  { from, upTo = Infinity, limit = Infinity }: Range,
): Promise<{ readonly messages: readonly DirectMessage[]; readonly more: boolean }> => {
  const messages: DirectMessage[] = [];
  for (let seq = Math.max(1, from); ; ) {
    const batch = Math.min(PAGE, limit - messages.length);
    const page = await directPage(nats, stream, { seq, next_by_subj: subject, batch, max_bytes: PAGE_BYTES });
    for (const message of page.messages) messages.push(message);
    const last = page.messages[page.messages.length - 1];
    // The count of what is left ends a history, never a pause.
    if (!last || page.pending === 0) return { messages, more: false };
    if (messages.length >= limit || last.sequence >= upTo) return { messages, more: true };
    seq = last.sequence + 1;
  }
};

/**
 * Messages on a subject (wildcards allowed) in order behind a sequence and up to one that the stream has, a page at a time. Where what answers
 * direct gets is behind, the leader is asked. Throws LogError LOG_UNAVAILABLE.
 */
export async function* directPages(
  nats: Nats,
  stream: string,
  subject: string,
  { after, upTo }: { readonly after: number; readonly upTo: number },
): AsyncGenerator<readonly StoredMessage[]> {
  for (let seq = after + 1; seq <= upTo; ) {
    const page = await directPage(nats, stream, { seq, next_by_subj: subject, batch: PAGE, max_bytes: PAGE_BYTES });
    let messages: readonly StoredMessage[] = page.messages.filter(({ sequence }) => sequence <= upTo);
    if (page.messages.length === 0) {
      const next = await leaderGet(nats, stream, { seq, next_by_subj: subject });
      messages = next && next.sequence <= upTo ? [next] : [];
    }
    const last = messages[messages.length - 1];
    if (!last) return;
    yield messages;
    seq = last.sequence + 1;
  }
}

/** Sequence of the first message on a subject that was stored at a time (RFC 3339) or later. Throws LogError LOG_UNAVAILABLE. */
export const directSince = async (nats: Nats, stream: string, subject: string, time: string): Promise<number | undefined> =>
  (await directPage(nats, stream, { next_by_subj: subject, start_time: time, batch: 1 })).messages[0]?.sequence;

/** The last message of each of these subjects (at most 1,000), those that have one. Throws LogError LOG_UNAVAILABLE. */
export const directLast = async (nats: Nats, stream: string, subjects: readonly string[]): Promise<readonly DirectMessage[]> =>
  (await directPage(nats, stream, { multi_last: subjects, batch: subjects.length })).messages;

/**
 * The last message of each subject (wildcards allowed) up to a sequence, in order; undefined where these are more than `most`. Throws LogError
 * LOG_UNAVAILABLE.
 */
export const directLastUpTo = async (
  nats: Nats,
  stream: string,
  subject: string,
  { upTo, most }: { readonly upTo?: number; readonly most: number },
): Promise<readonly DirectMessage[] | undefined> => {
  if (upTo !== undefined && upTo < 1) return [];
  const bound = upTo === undefined ? {} : { up_to_seq: upTo };
  const found = new Map<string, DirectMessage>();
  for (let seq = 0; ; ) {
    const page = await directPage(nats, stream, { multi_last: [subject], seq, batch: most, max_bytes: PAGE_BYTES, ...bound });
    for (const message of page.messages) {
      // Of a subject there may be a later one by now.
      found.delete(message.subject);
      found.set(message.subject, message);
    }
    if (found.size + page.pending > most) return undefined;
    const last = page.messages[page.messages.length - 1];
    if (!last || page.pending === 0) return [...found.values()];
    seq = last.sequence + 1;
  }
};

/** A message as the stream's leader knows it: never behind, unlike a direct get. */
export type LeaderMessage = StoredMessage & {
  /** The header block as it was stored. */
  readonly headers: string;
};

type LeaderQuery =
  | { readonly seq: number }
  | { readonly seq: number; readonly next_by_subj: string }
  | { readonly last_by_subj: string };

type GetAnswer = {
  readonly message?: {
    readonly subject: string;
    readonly seq: number;
    readonly data?: string;
    readonly hdrs?: string;
    readonly time: string;
  };
  readonly error?: { readonly err_code?: number; readonly description?: string };
};

/** Asks the stream's leader; undefined where nothing matches. Throws LogError LOG_UNAVAILABLE. */
export const leaderGet = async (nats: Nats, stream: string, query: LeaderQuery): Promise<LeaderMessage | undefined> => {
  const { message, error } = await jetStreamApi<GetAnswer>(nats, stream, `STREAM.MSG.GET.${stream}`, query);
  if (message) {
    const { subject, seq: sequence, data = '', hdrs = '', time } = message;
    const headers = Buffer.from(hdrs, 'base64').toString();
    return { subject, sequence, storedAt: milliseconds(time), data: Buffer.from(data, 'base64'), headers };
  }
  if (error?.err_code === codes.messageNotFound) return undefined;
  throw unavailable(stream, error?.description ?? 'an answer that is none');
};

/** A call of the JetStream API. Throws LogError LOG_UNAVAILABLE when nobody answers. */
export const jetStreamApi = async <Answer>(nats: Nats, stream: string, call: string, body: unknown): Promise<Answer> => {
  if (!nats.connected) throw unavailable(stream, 'no connection to the broker');
  const reply = await nats.replies.request(`$JS.API.${call}`, body === undefined ? '' : JSON.stringify(body), READ_TIMEOUT_MS);
  if (reply === 'silent' || reply === 'unheard') throw unavailable(stream, 'JetStream does not answer');
  return reply.json<Answer>();
};
