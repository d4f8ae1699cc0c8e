import type { Msg } from '@nats-io/transport-node';
import { LogError } from '#libs/ledger';
import type { Nats } from './connection.js';

/** A message as a direct get returns it. */
export type DirectMessage = {
  readonly subject: string;
  readonly sequence: number;
  readonly storedAt: string;
  readonly data: Uint8Array;
  readonly header: (name: string) => string | undefined;
};

type Query = {
  readonly seq?: number;
  readonly next_by_subj?: string;
  readonly multi_last?: readonly string[];
  readonly batch?: number;
  readonly up_to_seq?: number;
};

const READ_TIMEOUT_MS = 3_000;
const PAGE = 512;

const toMessage = (message: Msg): DirectMessage => ({
  subject: message.headers?.get('Nats-Subject') ?? '',
  sequence: Number(message.headers?.get('Nats-Sequence')),
  storedAt: message.headers?.get('Nats-Time-Stamp') ?? '',
  data: message.data,
  header: (name) => message.headers?.get(name) || undefined,
});

/** One page of a direct get, with how many more match behind it. Throws LogError LOG_UNAVAILABLE; never hangs. */
const directPage = async (
  nats: Nats,
  stream: string,
  query: Query,
): Promise<{ readonly messages: readonly DirectMessage[]; readonly pending: number }> => {
  const unavailable = (why: string): LogError => new LogError('LOG_UNAVAILABLE', `stream ${stream} can't be read: ${why}`);
  if (!nats.connected) throw unavailable('no connection to the broker');
  const messages: DirectMessage[] = [];
  let pending = 0;
  return await new Promise((resolve, reject) => {
    const inbox = `_INBOX.${crypto.randomUUID().replaceAll('-', '')}`;
    const finish = (error?: Error): void => {
      clearTimeout(timer);
      subscription.unsubscribe();
      if (error) reject(error);
      else resolve({ messages, pending });
    };
    // Restarted by every message: only a broker that has stopped sending is given up.
    const timer = setTimeout(() => finish(unavailable(`no answer within ${READ_TIMEOUT_MS} ms`)), READ_TIMEOUT_MS);
    const subscription = nats.connection.subscribe(inbox, {
      callback: (error, message) => {
        if (error) return finish(unavailable(error.message));
        timer.refresh();
        const code = message.headers?.code ?? 0;
        if (code === 204 || code === 404) return finish();
        if (code >= 400) return finish(unavailable(`${code} ${message.headers?.description ?? ''}`));
        const left = message.headers?.get('Nats-Num-Pending');
        messages.push(toMessage(message));
        if (left === undefined || left === '') return finish();
        pending = Number(left);
      },
    });
    try {
      nats.connection.publish(`$JS.API.DIRECT.GET.${stream}`, JSON.stringify(query), { reply: inbox });
    } catch (error) {
      finish(unavailable(String(error)));
    }
  });
};

/** Messages on a subject (wildcards allowed) from a sequence on, at most `limit`, and whether there are more. */
export const directRange = async (
  nats: Nats,
  stream: string,
  subject: string,
  from: number,
  limit = Infinity,
): Promise<{ readonly messages: readonly DirectMessage[]; readonly more: boolean }> => {
  const messages: DirectMessage[] = [];
  for (let seq = Math.max(1, from); ; ) {
    const batch = Math.min(PAGE, limit - messages.length);
    const page = await directPage(nats, stream, { seq, next_by_subj: subject, batch });
    messages.push(...page.messages);
    const last = page.messages[page.messages.length - 1];
    if (!last || page.pending === 0) return { messages, more: false };
    if (messages.length >= limit) return { messages, more: true };
    seq = last.sequence + 1;
  }
};

/** The last message of each of these subjects, those that have one. */
export const directLast = async (nats: Nats, stream: string, subjects: readonly string[]): Promise<readonly DirectMessage[]> =>
  (await directPage(nats, stream, { multi_last: subjects, batch: subjects.length })).messages;

/** The message at a sequence. */
export const directAt = async (nats: Nats, stream: string, sequence: number): Promise<DirectMessage | undefined> =>
  (await directPage(nats, stream, { seq: sequence })).messages[0];

type StoredAnswer = {
  readonly message?: { readonly seq: number; readonly data?: string };
  readonly error?: { readonly err_code?: number; readonly description?: string };
};

/** The next message of a subject as the stream's leader knows it: never behind, unlike a direct get. */
export const leaderNext = async (
  nats: Nats,
  stream: string,
  subject: string,
  from: number,
): Promise<{ readonly sequence: number; readonly data: Uint8Array } | undefined> => {
  const request = JSON.stringify({ seq: from, next_by_subj: subject });
  const answer = await nats.connection.request(`$JS.API.STREAM.MSG.GET.${stream}`, request, { timeout: READ_TIMEOUT_MS });
  const { message, error } = answer.json<StoredAnswer>();
  if (message) return { sequence: message.seq, data: Buffer.from(message.data ?? '', 'base64') };
  if (error?.err_code === 10037) return undefined;
  throw new Error(error?.description ?? 'an answer that is none');
};
