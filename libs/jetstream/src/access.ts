import { isIP } from 'node:net';
import { type PeerCertificate, checkServerIdentity } from 'node:tls';
import {
  type NodeConnectionOptions,
  credsAuthenticator,
  nkeyAuthenticator,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from '@nats-io/transport-node';

export type NatsCredentials =
  | { readonly user: string; readonly password: string }
  | { readonly token: string }
  /** The content of a .creds file: a JWT and the seed that goes with it. */
  | { readonly creds: string }
  /** An nkey's seed. */
  | { readonly seed: string };

/** Where the broker is, and as whom to go there. */
export type NatsAccess = {
  /** Of one server or, separated by commas, several. `user:password@` in it counts where there are no `credentials`; `tls://` asks for TLS. */
  readonly url: string;
  readonly credentials?: NatsCredentials | undefined;
  /** Files in PEM. Given at all, even empty, it asks for TLS; a server without it is refused. */
  readonly tls?: { readonly caFile?: string; readonly certFile?: string; readonly keyFile?: string } | undefined;
};

const server = /^(?:([a-z]+):\/\/)?(?:([^@/]*)@)?(.*)$/i;

const parts = (url: string): readonly { readonly scheme: string; readonly userInfo: string | undefined; readonly address: string }[] =>
  url.split(',').map((each) => {
    const [, scheme = '', userInfo, address = ''] = server.exec(each.trim()) ?? [];
    return { scheme: scheme.toLowerCase(), userInfo, address: address.replace(/\/$/, '') };
  });

const fromUrl = (userInfo: string): NatsCredentials => {
  const [user = '', ...password] = userInfo.split(':');
  return password.length === 0
    ? { token: decodeURIComponent(user) }
    : { user: decodeURIComponent(user), password: decodeURIComponent(password.join(':')) };
};

const authenticator = (credentials: NatsCredentials) => {
  if ('user' in credentials) return usernamePasswordAuthenticator(credentials.user, credentials.password);
  if ('token' in credentials) return tokenAuthenticator(credentials.token);
  const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
  return 'creds' in credentials ? credsAuthenticator(encode(credentials.creds)) : nkeyAuthenticator(encode(credentials.seed.trim()));
};

/**
 * nats.js tells Node no name where it connects to an address, and Node then asks the certificate for localhost. Such a certificate has
 * to be for one of the addresses given.
 */
const identityCheck = (addresses: readonly string[]) => {
  const hosts = addresses.map((address) => new URL(`nats://${address}`).hostname.replace(/^\[|\]$/g, ''));
  return (host: string, certificate: PeerCertificate): Error | undefined => {
    if (host !== 'localhost' || hosts.includes('localhost')) return checkServerIdentity(host, certificate);
    const faults = hosts.filter((each) => isIP(each) !== 0).map((each) => checkServerIdentity(each, certificate));
    return faults.includes(undefined) ? undefined : (faults[0] ?? checkServerIdentity(host, certificate));
  };
};

/** nats.js hands all of it on to Node, though its type does not say so. */
const tlsOptions = (tls: NatsAccess['tls'], addresses: readonly string[]): NonNullable<NodeConnectionOptions['tls']> =>
  Object.assign({ ...tls }, { checkServerIdentity: identityCheck(addresses) });

/** Where every answer to this user comes: no other user may listen there. */
export const inboxPrefix = (user: string | undefined): string => (user === undefined ? '_INBOX' : `_INBOX_${user}`);

/**
 * What nats.js, and Nest's transport on it, need to connect. Made anew for each connection, as nats.js changes what it is given.
 * nats.js reads neither credentials nor the scheme out of a URL.
 */
export const connectionOptions = ({ url, credentials, tls }: NatsAccess, user: string | undefined, name: string): NodeConnectionOptions => {
  const servers = parts(url);
  const [userInfo] = servers.flatMap((each) => each.userInfo ?? []);
  const given = credentials ?? (userInfo ? fromUrl(userInfo) : undefined);
  const isTls = tls !== undefined || servers.some(({ scheme }) => scheme === 'tls');
  return {
    servers: servers.map(({ address }) => address),
    name,
    inboxPrefix: inboxPrefix(user),
    maxReconnectAttempts: -1,
    reconnectTimeWait: 200,
    reconnectJitter: 100,
    // Credentials may be put right while it tries again.
    ignoreAuthErrorAbort: true,
    ...(given && { authenticator: authenticator(given) }),
    ...(isTls && { tls: tlsOptions(tls, servers.map(({ address }) => address)) }),
  };
};
