import { userInfo } from 'node:os';
import { type ApiKey, type Permission, type Role, createApiKey } from '#libs/access';
import { Catalog } from '#libs/jetstream';
import { CliError } from '../cli-error.js';
import { EXIT, type ExitCode } from '../exit-codes.js';
import { withLog } from '../nats-session.js';
import type { ClientOptions, Session } from '../session.js';
import { dateTime } from '../terminal/format.js';
import { printable } from '../terminal/screen.js';
import { type Cell, heading, printTable } from '../terminal/table.js';

type KeyView = Omit<ApiKey, 'hash' | 'fingerprint'>;
type NewKey = KeyView & { readonly token: string };

export type CreateKeyOptions = ClientOptions & {
  readonly nats?: string;
  readonly role: readonly Role[];
  readonly name: string;
  readonly scope?: readonly Permission[];
  readonly workspace?: readonly string[];
  readonly expires?: string;
  readonly direct?: boolean;
};

/** Makes an API key and prints its token, once: through the API, or as the broker's own user where nobody has a key yet. */
export const createKey = async (session: Session, options: CreateKeyOptions): Promise<ExitCode> => {
  const { out, err, json } = session;
  const { name, role: roles, scope: scopes, workspace: workspaces, expires: expiresAt } = options;
  const wanted = { name, roles, ...(scopes && { scopes }), ...(workspaces && { workspaces }), ...(expiresAt !== undefined && { expiresAt }) };
  const made = options.direct ? await createDirectly(session, options.nats, wanted) : await session.api.post<NewKey>('/keys', wanted);
  if (json) out.json(made);
  else {
    err.line(`key ${made.id} of tenant ${made.tenant}: ${made.roles.join(', ')}${made.expiresAt === undefined ? '' : `, until ${dateTime(made.expiresAt)}`}`);
    err.line(err.paint('dim', 'this is its token; it is shown nowhere else and never again'));
    out.line(made.token);
  }
  return EXIT.ok;
};

const createDirectly = (
  { tenant }: Session,
  url: string | undefined,
  wanted: Pick<ApiKey, 'name' | 'roles' | 'scopes' | 'workspaces' | 'expiresAt'>,
): Promise<NewKey> =>
  withLog(url, async (_, nats) => {
    if (wanted.expiresAt !== undefined && Date.parse(wanted.expiresAt) <= Date.now()) {
      throw new CliError(EXIT.misuse, 'OPTION_INVALID', '--expires must be a time to come');
    }
    const { key, token } = createApiKey({ ...wanted, tenant, createdAt: new Date().toISOString(), createdBy: `cli:${userInfo().username}` });
    const keys = await Catalog.open<ApiKey>(nats, 'keys');
    await keys.create(key.id, key);
    keys.stop();
    const { hash: _hash, ...view } = key;
    return { ...view, token };
  });

const stateOf = ({ revokedAt, expiresAt }: KeyView): Cell => {
  if (revokedAt !== undefined) return { text: 'revoked', style: 'dim' };
  const isExpired = expiresAt !== undefined && Date.parse(expiresAt) <= Date.now();
  return isExpired ? { text: 'expired', style: 'dim' } : { text: 'valid', style: 'green' };
};

export const listKeys = async ({ api, out, err, json }: Session): Promise<ExitCode> => {
  const answer = await api.get<{ readonly keys: readonly KeyView[] }>('/keys');
  if (json) out.json(answer);
  else if (answer.keys.length === 0) err.line('no keys');
  else {
    printTable(out, [
      heading('ID', 'STATE', 'ROLES', 'CREATED', 'EXPIRES', 'NAME'),
      ...answer.keys.map((key): readonly Cell[] => [
        key.id,
        stateOf(key),
        [...key.roles, ...(key.scopes ? [`only ${key.scopes.join(' ')}`] : [])].join(', '),
        dateTime(key.createdAt),
        key.expiresAt === undefined ? 'never' : dateTime(key.expiresAt),
        printable(key.name),
      ]),
    ]);
  }
  return EXIT.ok;
};

export const revokeKey = async ({ api, out, json }: Session, id: string): Promise<ExitCode> => {
  const revoked = await api.delete<KeyView>(`/keys/${id}`);
  if (json) out.json(revoked);
  else out.line(`key ${revoked.id} is revoked since ${dateTime(revoked.revokedAt ?? '')}`);
  return EXIT.ok;
};
