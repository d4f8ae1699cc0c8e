import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Principal } from '#libs/access';
import type { ExecutionRef } from '#libs/contracts';
import { FEED_START, type FeedPlace, type FeedReader, isBehind } from '#libs/jetstream';
import type { LogStore } from '#libs/ledger';
import { Problem } from '../problem.js';
import type { WebSockets } from '../web-sockets.js';
import { EVENT_STREAM, EventStream } from './event-stream.js';
import type { FeedHub } from './feed-hub.js';
import { cursorOf } from './frame.js';
import type { Sink } from './sink.js';
import type { Snapshot, Snapshots } from './snapshots.js';
import type { StreamQuery } from './stream-query.js';
import { WebSocketStream } from './web-socket-stream.js';

/** Executions in the snapshot of a tenant. */
const LISTED = 100;

type Log = Pick<LogStore, 'head'>;
type Feed = Pick<FeedReader, 'reachesBack'>;

/** Opens streams: who may have one is settled before. */
export class Streams {
  constructor(
    private readonly hub: FeedHub,
    private readonly snapshots: Snapshots,
    private readonly log: Log,
    private readonly feed: Feed,
    private readonly webSockets: WebSockets,
    /** Whether the credentials of somebody who was let in still count. */
    private readonly counts: (principal: Principal) => boolean,
  ) {}

  /** Throws Problem, LogError before anything is answered. */
  async ofExecution(ref: ExecutionRef, query: StreamQuery, principal: Principal, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    await this.open(
      { tenant: ref.tenant, execution: ref.execution },
      query,
      async () => (await this.snapshots.execution(ref)) ?? notFound(ref),
      principal,
      request,
      reply,
    );
  }

  /** Throws Problem, LogError before anything is answered. */
  async ofTenant(tenant: string, query: StreamQuery, principal: Principal, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const listed = { tenant, limit: LISTED, ...(query.labels && { labels: query.labels }) };
    await this.open({ tenant }, query, () => this.snapshots.list(listed), principal, request, reply);
  }

  private async open(
    of: { readonly tenant: string; readonly execution?: string },
    { after, untilEnd = false, limit, ...filter }: StreamQuery,
    snapshot: () => Promise<Snapshot>,
    principal: Principal,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<void> {
    const isWebSocket = this.webSockets.offers(request);
    if (!isWebSocket) mustTakeEvents(request);
    const leave = this.hub.enter(of.tenant);
    let sink: Sink | undefined;
    try {
      if (after) await this.mustReach(of, after);
      const begun = after && !untilEnd ? undefined : await snapshot();
      const place = after ?? begun?.place ?? FEED_START;
      const hasEnded = untilEnd && begun?.endedAt !== undefined && !isBehind(begun.endedAt, place);
      // To a browser that comes back this says that it need not.
      if (after && hasEnded && !isWebSocket) return void reply.status(204).send();
      if (request.method === 'HEAD') return void reply.header('content-type', EVENT_STREAM).send();
      sink = await this.connect(request, reply);
      if (!sink) return;
      sink.onGone(leave);
      if (!after && begun) sink.snapshot(place, begun.body);
      if (hasEnded) return sink.end('COMPLETE', place);
      const wanted = { filter: { ...of, ...filter }, untilEnd, ...(limit !== undefined && { limit }), isValid: () => this.counts(principal) };
      this.hub.subscribe(wanted, sink, place);
    } finally {
      if (!sink) leave();
    }
  }

  private async connect(request: FastifyRequest, reply: FastifyReply): Promise<Sink | undefined> {
    if (!this.webSockets.offers(request)) return new EventStream(reply);
    const accepted = await this.webSockets.accept(request, reply);
    return accepted && new WebSocketStream(accepted.webSocket, accepted.socket);
  }

  /** Refuses a position from which on not everything can be had. Throws Problem CURSOR_EXPIRED, QUERY_INVALID, LogError. */
  private async mustReach({ execution }: { readonly execution?: string }, after: FeedPlace): Promise<void> {
    if (!this.hub.end || isBehind(after, this.hub.end)) {
      const { sequence } = await this.log.head();
      if (after.sequence > sequence) {
        throw new Problem(400, 'QUERY_INVALID', `position ${cursorOf(after)} is beyond the log's end at ${sequence}; take one from an event, or leave it out to begin with a snapshot`);
      }
    }
    // Of one execution the log still knows all.
    if (execution !== undefined || this.hub.covers(after) || (await this.feed.reachesBack(after))) return;
    throw new Problem(410, 'CURSOR_EXPIRED', `the feed no longer holds all that came behind ${cursorOf(after)}; leave the position out: a snapshot comes first`);
  }
}

const notFound = (ref: ExecutionRef): never => {
  throw new Problem(404, 'EXECUTION_NOT_FOUND', `no execution ${ref.execution} in tenant ${ref.tenant}; check id and X-Tenant-ID`);
};

/** Throws Problem NOT_ACCEPTABLE. */
const mustTakeEvents = ({ headers: { accept = '*/*' } }: FastifyRequest): void => {
  if (/\btext\/(event-stream|\*)|\*\/\*/i.test(accept)) return;
  throw new Problem(406, 'NOT_ACCEPTABLE', 'this is a stream: send Accept: text/event-stream for server-sent events, or open a WebSocket');
};
