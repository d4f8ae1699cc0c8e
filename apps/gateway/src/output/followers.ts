import type { ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { Principal } from '#libs/access';
import { gatewayStopping } from '../problem.js';
import { Seats } from '../streams/seats.js';

type FollowersOptions = {
  /** So many at this gateway, and of one tenant. */
  readonly streams: number;
  readonly streamsOf: (tenant: string) => number;
};

/** Until who reads slowly is cut off when the gateway stops. */
const GRACE_MS = 2_000;

/** Who follows output: bounded, and ended when the gateway stops. */
export class Followers {
  private isStopped = false;
  private readonly open = new Set<ServerResponse>();
  private readonly seats: Seats;

  constructor(
    { streams, streamsOf }: FollowersOptions,
    /** Whether the credentials of somebody who was let in still count. */
    private readonly counts: (principal: Principal) => boolean,
  ) {
    this.seats = new Seats(streams, streamsOf);
  }

  mayGoOn(principal: Principal): boolean {
    return !this.isStopped && this.counts(principal);
  }

  /** Throws Problem GATEWAY_STOPPING, TENANT_LIMIT, STREAMS_FULL. */
  enter(tenant: string, response: ServerResponse): void {
    if (this.isStopped) throw gatewayStopping();
    const leave = this.seats.take(tenant);
    // Gone before it was let in: nobody would say so any more.
    if (response.closed) return leave();
    this.open.add(response);
    response.once('close', () => {
      this.open.delete(response);
      leave();
    });
  }

  /** They are told where to go on. */
  async stop(): Promise<void> {
    this.isStopped = true;
    for (const until = Date.now() + GRACE_MS; this.open.size > 0 && Date.now() < until; ) await pause(50);
    for (const response of this.open) response.destroy();
  }
}
