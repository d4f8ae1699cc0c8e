import type { ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { Principal } from '#libs/access';
import { Problem } from '../problem.js';

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
  private readonly open = new Map<ServerResponse, string>();

  constructor(
    private readonly options: FollowersOptions,
    /** Whether the credentials of somebody who was let in still count. */
    private readonly counts: (principal: Principal) => boolean,
  ) {}

  mayGoOn(principal: Principal): boolean {
    return !this.isStopped && this.counts(principal);
  }

  /** Throws Problem GATEWAY_STOPPING, TENANT_LIMIT, STREAMS_FULL. */
  enter(tenant: string, response: ServerResponse): void {
    if (this.isStopped) throw new Problem(503, 'GATEWAY_STOPPING', 'this gateway stops; ask another one, or this one again in a moment', { retryAfterSeconds: 1 });
    const most = this.options.streamsOf(tenant);
    if ([...this.open.values()].filter((other) => other === tenant).length >= most) {
      throw new Problem(429, 'TENANT_LIMIT', `your tenant follows ${most} outputs at this gateway, and may not follow more; close some`, { retryAfterSeconds: 5 });
    }
    if (this.open.size >= this.options.streams) {
      throw new Problem(503, 'STREAMS_FULL', `this gateway has ${this.open.size} streams, and takes no more; ask another one, or later`, { retryAfterSeconds: 5 });
    }
    // Gone before it was let in: nobody would say so any more.
    if (response.closed) return;
    this.open.set(response, tenant);
    response.once('close', () => this.open.delete(response));
  }

  /** They are told where to go on. */
  async stop(): Promise<void> {
    this.isStopped = true;
    for (const until = Date.now() + GRACE_MS; this.open.size > 0 && Date.now() < until; ) await pause(50);
    for (const response of this.open.keys()) response.destroy();
  }
}
