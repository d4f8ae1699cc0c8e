import { lookup } from 'node:dns';
import type { Redaction } from '#libs/secrets';
import { AddressRefused } from './addresses.js';
import { failed, invalidInput } from './failed.js';
import { exchange, type HostResolver, type Reply } from './http-exchange.js';
import { type HttpInput, httpInputProblems, MAX_RESPONSE_BYTES, urlFault } from './http-input.js';
import { httpResult } from './http-result.js';
import { retryAfter } from './retry-after.js';
import type { Attempt, Outcome, Runner } from './runner.js';

export type HttpOptions = {
  /** Addresses that are not public and may be reached all the same; default none. Never the plan's to say. */
  readonly allowAddress?: (ip: string) => boolean;
  /** From the first connection to the end of the answer, redirects included; default 300,000. */
  readonly httpTimeoutMs?: number;
  /** Default `dns.lookup`. */
  readonly resolveHost?: HostResolver;
};

const MAX_REDIRECTS = 5;
const TIMEOUT_MS = 300_000;
/**
 * All that another origin gets to see of the plan's headers: a key may be in any of the others, whatever its name. The
 * idempotency key is the runner's own unless the plan says otherwise.
 */
const HARMLESS = new Set([
  'accept',
  'accept-encoding',
  'accept-language',
  'cache-control',
  'content-encoding',
  'content-language',
  'content-type',
  'idempotency-key',
  'user-agent',
]);

type Within = Required<Omit<HttpOptions, 'httpTimeoutMs'>> &
  Pick<Attempt, 'signal'> & { readonly arrived: () => void; readonly redaction: Redaction | undefined };
type Request = { url: URL; method: string; headers: Record<string, string>; body?: string };

/** Sends a request, follows redirects, and reports the answer. */
export function httpRunner({
  allowAddress = () => false,
  httpTimeoutMs = TIMEOUT_MS,
  resolveHost = lookup,
}: HttpOptions): Runner {
  return {
    name: 'http',
    sideEffects: true,
    check: httpInputProblems,
    async run(attempt) {
      const problems = httpInputProblems(attempt.input);
      if (problems.length > 0) return invalidInput(problems);
      const input = attempt.input as HttpInput;
      const startedAt = performance.now();
      const late = new AbortController();
      const timer = setTimeout(() => late.abort(), httpTimeoutMs);
      const signal = AbortSignal.any([attempt.signal, late.signal]);
      try {
        const within = { allowAddress, resolveHost, signal, arrived: () => attempt.heartbeat?.beat(), redaction: attempt.redaction };
        const reply = await follow(firstRequest(input, attempt), input, within);
        return outcome(reply, input, Math.round(performance.now() - startedAt), attempt.redaction);
      } catch (error) {
        if (attempt.signal.aborted) return failed('HTTP_ABORTED', 'stopped on request', false);
        if (late.signal.aborted) return failed('HTTP_TIMEOUT', `no whole answer within ${httpTimeoutMs} ms`, true);
        if (error instanceof AddressRefused || error instanceof RedirectRefused) {
          return failed(error.code, error.message, false);
        }
        return failed('HTTP_FAILED', `no answer from ${new URL(input.url).host}: ${reason(error)}`, true);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

class RedirectRefused extends Error {
  readonly code = 'HTTP_REDIRECT_REFUSED';
}

function firstRequest({ url, method = 'GET', headers = {}, body }: HttpInput, { idempotencyKey }: Attempt): Request {
  const defaults: Record<string, string> = { 'idempotency-key': idempotencyKey, 'accept-encoding': 'identity' };
  if (body !== undefined) {
    defaults['content-type'] = typeof body === 'string' ? 'text/plain; charset=utf-8' : 'application/json';
  }
  const own = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  return {
    url: new URL(url),
    method,
    headers: { ...defaults, ...Object.fromEntries(own) },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  };
}

async function follow(
  first: Request,
  { expectStatus = [], maxResponseBytes: maxBytes = MAX_RESPONSE_BYTES }: HttpInput,
  { allowAddress, resolveHost: resolve, signal, arrived, redaction }: Within,
): Promise<Reply> {
  let request = first;
  for (let redirects = 0; ; redirects++) {
    const reply = await exchange({ ...request, maxBytes, signal, arrived, redaction, allowAddress, resolve });
    const { location } = reply.headers;
    const redirected = [301, 302, 303, 307, 308].includes(reply.status) && !expectStatus.includes(reply.status);
    if (!redirected || location === undefined) return reply;
    if (redirects === MAX_REDIRECTS) throw new RedirectRefused(`more than ${MAX_REDIRECTS} redirects`);
    request = redirect(request, reply.status, location, redaction);
  }
}

function redirect({ url, method, headers, body }: Request, status: number, location: string, redaction?: Redaction): Request {
  const target = URL.canParse(location, url.href) ? new URL(location, url.href) : undefined;
  const fault = target ? urlFault(target) : 'must be a URL';
  if (!target || fault) throw new RedirectRefused(`${url.host} redirects to a URL that ${fault}`);
  const becomesGet = (status === 303 && method !== 'HEAD') || (status < 303 && method === 'POST');
  const leaves = target.origin !== url.origin;
  const isSecret = (text: string): boolean => redaction !== undefined && redaction.text(text) !== text;
  if (leaves && !becomesGet && body !== undefined && isSecret(body)) {
    throw new RedirectRefused(`${url.host} redirects elsewhere, which would be sent the secrets in the body`);
  }
  const kept = Object.entries(headers).filter(
    ([name, value]) => !(leaves && (!HARMLESS.has(name) || isSecret(value))) && !(becomesGet && name.startsWith('content-')),
  );
  return {
    url: target,
    method: becomesGet ? 'GET' : method,
    headers: Object.fromEntries(kept),
    ...(body !== undefined && !becomesGet && { body }),
  };
}

function outcome(reply: Reply, { expectStatus }: HttpInput, durationMs: number, redaction?: Redaction): Outcome {
  const { status } = reply;
  const result = httpResult(reply, durationMs, redaction);
  const expected = expectStatus ? expectStatus.includes(status) : status >= 200 && status <= 299;
  if (expected) return { ok: true, result };
  const failure = failed('HTTP_STATUS', `answered ${status}`, status >= 500 || status === 429, result);
  const retryAfterMs = retryAfter(reply.headers, Date.now());
  return { ...failure, ...(retryAfterMs !== undefined && { retryAfterMs }) };
}

function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message;
}
