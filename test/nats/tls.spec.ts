import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectNats } from '#libs/jetstream';
import { createLogger, readSettings } from '#libs/platform';
import { type NatsServer, eventually, natsServers, startNatsServer } from '#libs/testing';
import { startGateway } from '../../apps/gateway/src/gateway.js';
import { startProjector } from '../../apps/projector/src/projector.js';

let folder: string;
const file = (name: string): string => join(folder, name);
const openssl = (...args: readonly string[]): void => void execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });

/** A CA of its own, and what it has signed: for the server on 127.0.0.1, for another name, for a client. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'runledger-tls-'));
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  for (const ca of ['ca', 'other-ca']) openssl('req', '-x509', ...curve, '-days', '2', '-subj', `/CN=${ca}`, '-keyout', `${ca}.key`, '-out', `${ca}.pem`);
  for (const [name, extension] of [['server', 'subjectAltName=IP:127.0.0.1'], ['elsewhere', 'subjectAltName=DNS:nats.example'], ['client', 'extendedKeyUsage=clientAuth']] as const) {
    writeFileSync(file('extension'), extension);
    openssl('req', ...curve, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
    openssl('x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'extension', '-out', `${name}.pem`);
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

describe.each(natsServers())('TLS with $name', ({ name: version }) => {
  let server: NatsServer;
  afterEach(() => server.stop());

  const start = async (certificate: string, verify = false): Promise<string> => {
    const tls = `cert_file: ${JSON.stringify(file(`${certificate}.pem`))}, key_file: ${JSON.stringify(file(`${certificate}.key`))}`;
    const clients = verify ? `, ca_file: ${JSON.stringify(file('ca.pem'))}, verify: true` : '';
    server = await startNatsServer({ version, config: `tls { ${tls}${clients} }` });
    return server.url.replace('nats://', 'tls://');
  };
  const client = (): { certFile: string; keyFile: string } => ({ certFile: file('client.pem'), keyFile: file('client.key') });

  it('carries every connection of the apps, also those of their queries, each with a certificate of its own', async () => {
    const url = await start('server', true);
    const settings = readSettings({
      NATS_URL: url,
      RUNLEDGER_NATS_TLS_CA_FILE: file('ca.pem'),
      RUNLEDGER_NATS_TLS_CERT_FILE: file('client.pem'),
      RUNLEDGER_NATS_TLS_KEY_FILE: file('client.key'),
      RUNLEDGER_HOME: folder,
      RUNLEDGER_PORT: '0',
    });
    const logger = createLogger('test', 'silent');
    const gateway = await startGateway(settings, logger);
    const stopProjector = await startProjector(settings, logger);
    try {
      const answered = async (): Promise<boolean> => (await fetch(`${gateway.url}/api/v1/executions`)).status === 200;
      await eventually(answered, { timeoutMs: 15_000, what: 'a query to be answered' });
    } finally {
      await Promise.all([gateway.stop(), stopProjector()]);
    }
  }, 60_000);

  it.each<[string, () => Promise<string>, () => object | undefined, RegExp]>([
    ['signed by nobody known', () => start('server'), () => undefined, /RUNLEDGER_NATS_TLS_CA_FILE/],
    ['signed by somebody else', () => start('server'), () => ({ caFile: file('other-ca.pem') }), /RUNLEDGER_NATS_TLS_CA_FILE/],
    ['for another name', () => start('elsewhere'), () => ({ caFile: file('ca.pem') }), /another name/],
    ['that is none: it is asked for, and refused in the clear', async () => ((server = await startNatsServer({ version })), server.url), client, /nothing is sent in the clear/],
  ])('a server with a certificate %s is refused at once, with what to change', async (_, url, tls, advice) => {
    const failed = connectNats({ url: await url(), tls: tls(), name: 'test', wait: true });
    await expect(failed).rejects.toMatchObject({ code: 'NATS_TLS_FAILED', retryable: false, message: expect.stringMatching(advice) });
  });

  it('a server that wants a certificate of the client lets nobody in without, which is said to be possible', async () => {
    const url = await start('server', true);
    const failed = connectNats({ url, tls: { caFile: file('ca.pem') }, name: 'test' });
    await expect(failed).rejects.toMatchObject({ code: 'NATS_UNREACHABLE', message: expect.stringContaining('RUNLEDGER_NATS_TLS_CERT_FILE') });
    await (await connectNats({ url, tls: { caFile: file('ca.pem'), ...client() }, name: 'test' })).close();
  });
});
