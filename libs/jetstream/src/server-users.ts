import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { nkeys } from '@nats-io/transport-node';
import { isToken } from '#libs/contracts';
import { type Permissions, natsUsers, permissionsOf, tenantObserver } from './users.js';

/** How a server knows a user: by an nkey's public half, or by a password that is the value of a variable of its environment. */
type ServerUser = { readonly nkey: string } | { readonly user: string; readonly passwordVariable: string };

const list = (subjects: readonly string[]): string => `[${subjects.map((subject) => JSON.stringify(subject)).join(', ')}]`;

const publishing = (allow: readonly string[], deny: readonly string[] | undefined): string =>
  deny ? `{ allow: ${list(allow)}, deny: ${list(deny)} }` : list(allow);

const entry = (name: string, known: ServerUser, { publish, deny, subscribe, answers }: Permissions): string =>
  [
    `    # ${name}`,
    '    {',
    'nkey' in known ? `      nkey: ${known.nkey}` : `      user: ${JSON.stringify(known.user)}, password: $${known.passwordVariable}`,
    '      permissions {',
    // Without a list everything would be allowed.
    `        publish: ${publish.length === 0 ? '{ deny: ">" }' : publishing(publish, deny)}`,
    `        subscribe: ${list(subscribe)}`,
    ...(answers ? ['        allow_responses: { max: 1, expires: "30s" }'] : []),
    '      }',
    '    }',
  ].join('\n');

const permissions = (name: string): Permissions => {
  const user = natsUsers.find((known) => known === name);
  return user ? permissionsOf(user) : tenantObserver(name.slice(TENANT_OBSERVER.length));
};

const TENANT_OBSERVER = 'observer-';

/** Every user by name; `tenants` get an observer each, `observer-<tenant>`. */
export const serverUsers = (tenants: readonly string[] = []): readonly string[] => {
  for (const tenant of tenants) if (!isToken(tenant)) throw new RangeError(`not a tenant: ${String(tenant)}`);
  return [...natsUsers, ...tenants.map((tenant) => TENANT_OBSERVER + tenant)];
};

/** The `authorization` block of a nats-server's configuration: these users, and nobody else. */
export const authorization = (known: ReadonlyMap<string, ServerUser>): string =>
  ['authorization {', '  users = [', ...[...known].map(([name, user]) => entry(name, user, permissions(name))), '  ]', '}', ''].join('\n');

/** Passwords by variables of the server's environment, RUNLEDGER_NATS_PASSWORD_<USER>, as it reads them: one that begins with a digit in quotes of its own. */
export const passwordUsers = (names: readonly string[]): ReadonlyMap<string, ServerUser> =>
  new Map(
    names.map((name) => [name, { user: name, passwordVariable: `RUNLEDGER_NATS_PASSWORD_${name.toUpperCase().replaceAll('-', '_')}` }]),
  );

/** A folder for each user: each can be given to its app alone. */
export const seedFile = (folder: string, user: string): string => join(folder, user, 'nkey');

/** Keys of these users: `<user>/nkey` with the secret half, for its owner alone. Those that are there already stay as they are. */
export const userKeys = (folder: string, names: readonly string[]): ReadonlyMap<string, ServerUser> => {
  return new Map(names.map((name) => [name, { nkey: publicKey(seedFile(folder, name)) }]));
};

const publicKey = (file: string): string => {
  if (!existsSync(file)) {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    // Whole or not there at all, whenever this is killed.
    writeFileSync(`${file}.new`, `${new TextDecoder().decode(nkeys.createUser().getSeed())}\n`, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }
  return nkeys.fromSeed(new TextEncoder().encode(readFileSync(file, 'utf8').trim())).getPublicKey();
};
