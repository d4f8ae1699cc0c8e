import type { LookupAddress, LookupAllOptions } from 'node:dns';
import { type IncomingHttpHeaders, type IncomingMessage, request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import type { Redaction } from '#libs/secrets';
import { AddressRefused, isPublicAddress } from './addresses.js';

/** One request: where to, what, and within which bounds. */
type Exchange = {
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
  /** Called whenever something of the answer has come. */
  readonly arrived: () => void;
  /** What the body is to be free of. */
  readonly redaction?: Redaction | undefined;
  /** Addresses that are not public and may be reached all the same. */
  readonly allowAddress: (ip: string) => boolean;
  readonly resolve: HostResolver;
};

/** What `dns.lookup` is when it is asked for all addresses of a host. */
export type HostResolver = (
  host: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

export type Reply = {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly truncated: boolean;
};

/**
 * Sends one request on a connection of its own and follows no redirect. The very addresses that are connected to are
 * judged, so that a name that resolves differently a moment later gains nothing. Rejects with AddressRefused, with an
 * AbortError, or with what the network said.
 */
export async function exchange(wanted: Exchange): Promise<Reply> {
  const { url, method, headers, body, maxBytes, signal, arrived, redaction, allowAddress, resolve: resolver } = wanted;
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const allowed = (address: string): boolean => isPublicAddress(address) || allowAddress(address);
  // An address in the URL is connected to without any lookup.
  if (isIP(host) !== 0 && !allowed(host)) throw new AddressRefused(host, host);
  const send = url.protocol === 'https:' ? requestTls : requestPlain;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    send(url, { method, headers, signal, agent: false, lookup: guarded(resolver, allowed) }, resolve)
      .on('error', reject)
      // As bytes: a text would be sent together with the headers, and make them UTF-8.
      .end(body === undefined ? undefined : Buffer.from(body));
  });
  arrived();
  const parts: Buffer[] = [];
  const secretless = redaction?.stream();
  let size = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    arrived();
    parts.push(secretless?.write(part) ?? part);
    size += part.length;
    if (size > maxBytes) break; // Leaving the loop closes the connection.
  }
  // Of a body that is cut short, what is held back may be the beginning of a secret for ever.
  if (secretless && size <= maxBytes) parts.push(secretless.end());
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: Buffer.concat(parts).subarray(0, maxBytes),
    truncated: size > maxBytes,
  };
}

/** A lookup that fails when any of a host's addresses may not be reached. */
const guarded =
  (resolve: HostResolver, allowed: (address: string) => boolean): LookupFunction =>
  (host, options, callback) => {
    resolve(host, { ...options, all: true }, (error, addresses) => {
      const refused = addresses?.find(({ address }) => !allowed(address));
      const [first] = addresses ?? [];
      if (error) callback(error, []);
      else if (refused) callback(new AddressRefused(refused.address, host), []);
      else if (options.all || !first) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
