import { type AuditRecord, auditSubject, schemaFault } from '#libs/contracts';
import { LogError } from '#libs/ledger';
import type { Nats } from './connection.js';
import { type DirectMessage, directRange, directSince, jetStreamApi } from './read.js';

export type AuditQuery = {
  /** RFC 3339: from <= at < until. */
  readonly from?: string;
  readonly until?: string;
  readonly accepts: (record: AuditRecord) => boolean;
  readonly limit: number;
  /** Sequence to go on from, as `next` of the page before says. */
  readonly cursor?: number;
};

/** `next` is null on the last page. A page may hold less than its limit, even nothing, and still have a next. */
export type AuditPage = { readonly records: readonly AuditRecord[]; readonly next: number | null };

/** Records looked at for one page. */
const LOOKED_AT_MAX = 10_000;
const WINDOW = 128;
const WINDOW_MAX = 1 << 20;
const WINDOW_MESSAGES = 1_024;
/** A record is stored as soon as the broker takes it, which after an outage may be later than it happened. */
const STORED_WITHIN_MS = 600_000;

type State = { readonly first_seq: number; readonly last_seq: number };

const stateOf = async (nats: Nats): Promise<State> => {
  const { state } = await jetStreamApi<{ readonly state?: State }>(nats, 'AUDIT', 'STREAM.INFO.AUDIT', undefined);
  if (state) return state;
  throw new LogError('LOG_UNAVAILABLE', 'stream AUDIT is not there; provision the broker first');
};

const toRecord = ({ data }: DirectMessage): AuditRecord | undefined => {
  try {
    const record: unknown = JSON.parse(new TextDecoder().decode(data));
    return schemaFault('AuditRecord', record) ? undefined : (record as AuditRecord);
  } catch {
    return undefined;
  }
};

/**
 * A tenant's records, newest first. A stream is read forwards only: windows of its sequence are, from its end on, each as wide as the
 * one before lets expect. Throws LogError LOG_UNAVAILABLE.
 */
export const readAudit = async (nats: Nats, tenant: string, query: AuditQuery): Promise<AuditPage> => {
  const { from, until, limit } = query;
  const subject = auditSubject(tenant);
  const { first_seq: first, last_seq: last } = await stateOf(nats);
  const after = until === undefined ? undefined : await directSince(nats, 'AUDIT', subject, later(until));
  const records: AuditRecord[] = [];
  let end = Math.min(last, query.cursor ?? Infinity, (after ?? Infinity) - 1);
  for (let [width, lookedAt] = [WINDOW, 0]; end >= first; ) {
    const start = Math.max(first, end - width + 1);
    const { messages, more } = await directRange(nats, 'AUDIT', subject, { from: start, upTo: end, limit: WINDOW_MESSAGES });
    if (more && width > 1 && (messages[messages.length - 1]?.sequence ?? end) < end) {
      width = Math.ceil(width / 8);
      continue;
    }
    for (const message of messages.filter(({ sequence }) => sequence <= end).toReversed()) {
      if (from !== undefined && Date.parse(message.storedAt) < Date.parse(from)) return { records, next: null };
      const record = toRecord(message);
      if (!record || !isWithin(record, query) || !query.accepts(record)) continue;
      records.push(record);
      if (records.length === limit) return { records, next: message.sequence > first ? message.sequence - 1 : null };
    }
    lookedAt += messages.length;
    end = start - 1;
    if (lookedAt >= LOOKED_AT_MAX) break;
    if (messages.length < WINDOW_MESSAGES / 8) width = Math.min(WINDOW_MAX, width * 4);
  }
  return { records, next: end >= first ? end : null };
};

const later = (time: string): string => new Date(Date.parse(time) + STORED_WITHIN_MS).toISOString();

const isWithin = ({ at }: AuditRecord, { from = at, until }: AuditQuery): boolean =>
  Date.parse(at) >= Date.parse(from) && (until === undefined || Date.parse(at) < Date.parse(until));
