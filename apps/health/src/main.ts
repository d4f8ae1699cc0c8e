import { connectNats } from '#libs/jetstream';
import { type Settings, readSettings } from '#libs/platform';
import { queries } from '#libs/projections';

const WITHIN_MS = 4_000;

/** Resolves when the app does its work; rejects, or never settles, when it does not. */
type Check = (settings: Settings) => Promise<void>;

/** Also when the broker is away: that is what it answers 503 for. */
const gateway: Check = async ({ port }) => {
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`);
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
};

/** The executor of this host is heard beating, as the other executors hear it. */
const executor: Check = async ({ nats, node }) => {
  const { connection } = await connectNats({ ...nats, user: 'executor', name: 'runledger health' });
  for await (const beat of connection.subscribe('$KV.members.*')) {
    if (beat.data.length > 0 && beat.json<{ readonly node?: unknown }>().node === node) return;
  }
};

/** A projector answers. Only one runs, so it is this one. */
const projector: Check = async ({ nats, tenant }) => {
  const { connection } = await connectNats({ ...nats, user: 'projector', name: 'runledger health' });
  const query = { pattern: queries.stats, data: { tenant }, id: 'health' };
  const answer = await connection.request(query.pattern, JSON.stringify(query), { timeout: WITHIN_MS });
  const { err } = answer.json<{ readonly err?: unknown }>();
  if (err !== undefined && err !== null) throw new Error(JSON.stringify(err));
};

const end = (fault?: string): never => {
  if (fault !== undefined) console.error(fault);
  process.exit(fault === undefined ? 0 : 1);
};

const checks: Readonly<Record<string, Check>> = { gateway, executor, projector };
const app = process.argv[2] ?? '';
const check = checks[app] ?? end(`which app? ${Object.keys(checks).join(', ')}`);
setTimeout(() => end(`${app}: no sign of it within ${WITHIN_MS} ms`), WITHIN_MS);
await check(readSettings(process.env)).then(
  () => end(),
  (error: unknown) => end(`${app}: ${error instanceof Error ? error.message : String(error)}`),
);
