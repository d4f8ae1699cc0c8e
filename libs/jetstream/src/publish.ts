import { type MsgHdrs, headers } from '@nats-io/transport-node';
import { type Append, type AppendResult, LogError, parseCommit } from '#libs/ledger';
import { type PublishAnswer, isConflict, isFull, toAnswer } from './codes.js';
import type { Nats } from './connection.js';
import { leaderGet } from './read.js';

export type Timing = {
  /** How long an answer may take before the outcome is looked up. */
  readonly answerMs: number;
  /** How long an outcome may stay in doubt before the caller is told so. */
  readonly resolveMs: number;
};

export const defaultTiming: Timing = { answerMs: 5_000, resolveMs: 10_000 };
const PAUSE_MS = 100;

type Broker = { readonly nats: Nats; readonly timing: Timing };

/** An append on its way to the broker. */
export type Publication = Append & {
  readonly subject: string;
  /** It may have been stored by an earlier try: a conflict then proves nothing until the log has been read. */
  inDoubt: boolean;
};

export const appendHeaders = (publication: Publication): MsgHdrs => {
  const all = headers();
  all.set('Nats-Expected-Last-Subject-Sequence', String(publication.expected));
  all.set('Content-Type', 'application/json');
  return all;
};

/** Publishes and returns what was answered. */
export const ask = async (
  { nats, timing }: Broker,
  publication: Publication,
  all: MsgHdrs,
): Promise<PublishAnswer | 'silent' | 'unheard'> =>
  toAnswer(await nats.replies.request(publication.subject, publication.body, timing.answerMs, all));

export const notStored = (why: string): LogError =>
  new LogError('LOG_UNAVAILABLE', `nothing was stored: ${why}; try again in a moment`);

export const outcomeUnknown = (cause?: unknown): LogError =>
  new LogError(
    'OUTCOME_UNKNOWN',
    'the broker did not say whether it was stored, and could not be asked; retry with the same key',
    { cause },
  );

export const refusal = ({ error }: PublishAnswer): LogError => {
  const why = `${error?.description ?? 'no reason given'} (${error?.err_code ?? error?.code ?? 'no code'})`;
  return isFull(error?.err_code)
    ? new LogError('LOG_FULL', `nothing was stored, the log is full: ${why}; give stream LOG more max_bytes`)
    : notStored(why);
};

/**
 * Publishes one commit until its outcome is known, for a bounded time; compare-and-set makes a second publish of the same
 * harmless. Throws LogError.
 */
export const publishSingly = async (
  broker: Broker,
  publication: Publication,
): Promise<AppendResult | { readonly answer: PublishAnswer }> => {
  let until = Date.now() + broker.timing.resolveMs;
  for (;;) {
    const answer = await ask(broker, publication, appendHeaders(publication));
    if (typeof answer !== 'string' && answer.error === undefined) return { answer };
    if (!publication.inDoubt) {
      if (answer === 'unheard') throw notStored('no stream listens');
      if (answer !== 'silent') {
        if (isConflict(answer.error?.err_code)) return { stored: false };
        throw refusal(answer);
      }
      publication.inDoubt = true;
      until = Date.now() + broker.timing.resolveMs;
    }
    const found = await lookUp(broker, publication, until);
    if (found !== 'absent') return found;
    // Absent is not refused: an earlier try may still be under way. Whatever gets there first keeps the others out.
    if (Date.now() >= until) throw outcomeUnknown();
    await pause(PAUSE_MS);
  }
};

/**
 * Looks for the own commit among everything stored behind the expectation, through the stream's leader. The last commit alone
 * would not tell: others append within milliseconds. Throws LogError OUTCOME_UNKNOWN when the log can't be read in time.
 */
export const lookUp = async (
  { nats, timing }: Broker,
  publication: Publication,
  until = Date.now() + timing.resolveMs,
): Promise<AppendResult | 'absent'> => {
  for (;;) {
    try {
      for (let others = false, seq = publication.expected + 1; ; others = true) {
        const next = await leaderGet(nats, 'LOG', { seq, next_by_subj: publication.subject });
        if (!next) return others ? { stored: false } : 'absent';
        const commit = parseCommit(next.data);
        if ('id' in commit && commit.id === publication.id) return { stored: true, sequence: next.sequence };
        seq = next.sequence + 1;
      }
    } catch (error) {
      if (Date.now() >= until) throw outcomeUnknown(error);
      await pause(PAUSE_MS);
    }
  }
};

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
