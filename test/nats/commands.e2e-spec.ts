import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JetStreamLog, connectNats, serverUsers } from '#libs/jetstream';
import { startNatsServer } from '#libs/testing';
import { type Ended, cli } from '../e2e/cli.js';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'runledger-nats-config-'))));
afterEach(() => rmSync(folder, { recursive: true }));

const run = (natsUrl: string, args: readonly string[], environment: Record<string, string> = {}): Promise<Ended> =>
  cli({ url: 'http://127.0.0.1:1', natsUrl, home: folder }, args, '', environment).ended;

it("a server of one's own is set up by two commands: who may do what, and the streams", async () => {
  const keys = join(folder, 'keys');
  const config = await run('', ['nats-config', '--keys', keys, '--observer', 'acme']);
  expect(config).toMatchObject({ code: 0, err: '' });
  const names = serverUsers(['acme']);
  for (const name of names) {
    expect(statSync(join(keys, name, 'nkey')).mode & 0o777).toBe(0o600);
    expect(config.out).not.toContain(readFileSync(join(keys, name, 'nkey'), 'utf8').trim());
  }
  expect((await run('', ['nats-config', '--keys', keys, '--observer', 'acme'])).out).toBe(config.out);

  const server = await startNatsServer({ config: config.out });
  try {
    const as = (name: string): Record<string, string> => ({ RUNLEDGER_NATS_NKEY_SEED_FILE: join(keys, name, 'nkey'), RUNLEDGER_LOG_MAX_BYTES: '268435456' });
    expect(await run(server.url, ['provision'], as('gateway'))).toMatchObject({ code: 78, err: expect.stringContaining('NATS_FORBIDDEN') as string });
    expect(await run(server.url, ['provision'])).toMatchObject({ code: 78, err: expect.stringContaining('NATS_UNAUTHORIZED') as string });
    for (let times = 0; times < 2; times++) expect(await run(server.url, ['provision'], as('provisioner'))).toMatchObject({ code: 0 });
    expect(await run(server.url, ['verify'])).toMatchObject({ code: 4, err: expect.stringContaining('NATS_UNAUTHORIZED') as string });
    expect(await run(server.url, ['verify'], as('operator'))).toMatchObject({ code: 0, out: expect.stringContaining('no faults in 0 commits') as string });
    const nats = await connectNats({ url: server.url, credentials: { seed: readFileSync(join(keys, 'operator/nkey'), 'utf8') }, user: 'operator', name: 'test' });
    expect(await new JetStreamLog(nats).info()).toMatchObject({ lastSequence: 0, maxBytes: 268_435_456 });
    await nats.close();
  } finally {
    await server.stop();
  }
}, 60_000);

it('without keys the users have passwords, which are not in what is printed', async () => {
  const { out } = await run('', ['nats-config']);
  expect(out.match(/password: \$RUNLEDGER_NATS_PASSWORD_[A-Z]+$/gm)).toHaveLength(serverUsers().length);
  expect(await run('', ['nats-config', '--observer', 'not.one'])).toMatchObject({ code: 2, out: '' });
});
