import type { ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import {
  ThrottlerGuard,
  type ThrottlerLimitDetail,
  type ThrottlerOptions,
  type ThrottlerStorage,
  ThrottlerStorageService,
  normalizeIp,
} from '@nestjs/throttler';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Permission } from '#libs/access';
import { rateSubject } from '#libs/contracts';
import type { Rate, TenantPolicies, TenantPolicy, VerbClass } from '#libs/platform';
import { accessOf, principalOf } from './access.js';
import { Problem } from './problem.js';
import { addressOf, tenantOf } from './request-context.js';
import { workspaceOf } from './workspaces.js';

const verbOf: Readonly<Record<Permission, VerbClass>> = {
  'executions.read': 'read',
  'executions.request': 'start',
  'executions.control': 'control',
  'executions.delete': 'control',
  'clarifications.respond': 'control',
  'artifacts.read': 'read',
  'artifacts.write': 'control',
  'projections.read': 'read',
  'projections.rebuild': 'manage',
  'secrets.read': 'read',
  'secrets.manage': 'manage',
  'keys.manage': 'manage',
  'audit.read': 'read',
  'tasks.work': 'control',
};

type RecordOfHits = Awaited<ReturnType<ThrottlerStorage['increment']>>;

/** Counts by fixed windows of time that all gateways share. While they can't be asked nobody is refused. */
export class SharedStorage implements ThrottlerStorage {
  /** Windows known to be full, and when they end: refused without asking. */
  private readonly full = new Map<string, number>();

  constructor(
    private readonly counters: { increment(subject: string): Promise<number | undefined> },
    private readonly now: () => number = Date.now,
  ) {}

  async increment(key: string, windowMs: number, limit: number): Promise<RecordOfHits> {
    const now = this.now();
    const window = Math.floor(now / windowMs);
    const endsAt = (window + 1) * windowMs;
    const subject = rateSubject(window, key.split('.'));
    const totalHits = this.full.has(subject) ? limit + 1 : ((await this.counters.increment(subject)) ?? 0);
    const isBlocked = totalHits > limit;
    if (isBlocked) this.remember(subject, endsAt, now);
    const secondsLeft = Math.max(1, Math.ceil((endsAt - now) / 1_000));
    return { totalHits, isBlocked, timeToExpire: secondsLeft, timeToBlockExpire: secondsLeft };
  }

  private remember(subject: string, endsAt: number, now: number): void {
    if (this.full.has(subject)) return;
    for (const [other, end] of this.full) if (end <= now) this.full.delete(other);
    this.full.set(subject, endsAt);
  }
}

const tooMany = (what: string, { limit, windowMs }: Rate, retryAfterSeconds: number): Problem =>
  new Problem(429, 'TOO_MANY_REQUESTS', `more than ${limit} ${what} in ${windowMs / 1_000} s; wait for Retry-After seconds`, { retryAfterSeconds });

/** What a request counts as. */
type Asked = {
  readonly verb: VerbClass;
  readonly tenant: string;
  readonly workspace: string | undefined;
  readonly rates: TenantPolicy['rates'];
};

const askedIn = (context: ExecutionContext): Asked => context.getArgByIndex<Asked>(2);

class RateGuard extends ThrottlerGuard {
  protected override throwThrottlingException(context: ExecutionContext, { limit, ttl, tracker, timeToBlockExpire }: ThrottlerLimitDetail): Promise<void> {
    const of = tracker === askedIn(context).tenant ? `tenant ${tracker}` : `workspace ${tracker}`;
    return Promise.reject(tooMany(`${askedIn(context).verb} requests of ${of}`, { limit, windowMs: ttl }, timeToBlockExpire));
  }
}

const throttler = (name: string, rateFor: (asked: Asked) => Rate | undefined, trackerOf: (asked: Asked) => string, keyOf: (asked: Asked) => string): ThrottlerOptions => ({
  name,
  skipIf: (context) => rateFor(askedIn(context)) === undefined,
  limit: (context) => rateFor(askedIn(context))?.limit ?? Infinity,
  ttl: (context) => rateFor(askedIn(context))?.windowMs ?? 1,
  getTracker: (_request, context) => trackerOf(askedIn(context)),
  generateKey: (context) => keyOf(askedIn(context)),
});

/** A workspace's come first: what it is refused does not count against its tenant. Of both, only the tenant's are shown in headers. */
const throttlers = (): ThrottlerOptions[] => [
  {
    ...throttler(
      'workspace',
      ({ workspace, rates, verb }) => (workspace === undefined ? undefined : rates[`workspace.${verb}`]),
      ({ workspace }) => workspace ?? '',
      ({ verb, tenant, workspace }) => `${verb}.${tenant}.${workspace}`,
    ),
    setHeaders: false,
  },
  throttler(
    'default',
    ({ rates, verb }) => rates[verb],
    ({ tenant }) => tenant,
    ({ verb, tenant }) => `${verb}.${tenant}`,
  ),
];

type RateOptions = {
  readonly storage: ThrottlerStorage;
  readonly policies: TenantPolicies;
  /** For requests without any of their own. */
  readonly tenant: string;
};

/**
 * Hook onRequest, behind that of access: the limits of the tenant and of its workspace, before a body is read. The library's guard
 * would be asked by Nest only once it has been read. Throws Problem TOO_MANY_REQUESTS.
 */
export const rateHook = async ({ storage, policies, tenant: configured }: RateOptions): Promise<(request: FastifyRequest, reply: FastifyReply) => Promise<void>> => {
  const guard = new RateGuard(throttlers(), storage, new Reflector());
  await guard.onModuleInit();
  const hook = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const access = accessOf(request);
    if (access === undefined || access === 'public') return;
    const tenant = principalOf(request).tenant ?? tenantOf(request, configured);
    const { rates } = policies.of(tenant);
    const asked: Asked = { verb: verbOf[access], tenant, workspace: workspaceOf(request), rates };
    await guard.canActivate(new ExecutionContextHost([request, reply, asked], RateGuard, hook));
  };
  return hook;
};

/**
 * What is called when credentials are missing or do not count: past the rate of a client's address (of IPv6 its /64) it throws Problem
 * TOO_MANY_REQUESTS. Counted by each gateway for itself: it is to cost nothing. Credentials that count are never asked about.
 */
export const unauthenticatedLimit = (rate: Rate): ((request: FastifyRequest) => Promise<void>) => {
  const storage = new ThrottlerStorageService();
  return async (request) => {
    const client = normalizeIp(addressOf(request), 64);
    const { isBlocked, timeToBlockExpire } = await storage.increment(client, rate.windowMs, rate.limit, rate.windowMs, 'unauthenticated');
    if (isBlocked) throw tooMany('requests without credentials that count', rate, timeToBlockExpire);
  };
};
