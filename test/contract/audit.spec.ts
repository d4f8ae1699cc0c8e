import type { AuditRecord } from '#libs/contracts';
import { AuditTrail, type Nats, provision, readAudit } from '#libs/jetstream';
import { eventually } from '#libs/testing';
import { type Broker, MIB, startBroker } from './servers.js';

let broker: Broker;
beforeAll(async () => (broker = await startBroker({})), 30_000);
afterAll(() => broker.close());

const record = (tenant: string, n: number, more: Partial<AuditRecord> = {}): AuditRecord => ({
  id: `${tenant}-${n}`, at: new Date().toISOString(), tenant, actor: 'key:1', method: 'POST', status: 202, address: '127.0.0.1', correlationId: 'c', ...more,
});
const everything = { accepts: () => true, limit: 1_000 };
const idsOf = async (tenant: string): Promise<readonly string[]> => (await readAudit(broker.nats, tenant, everything)).records.map(({ id }) => id);
const info = async (nats: Nats): Promise<{ readonly config: Record<string, unknown> }> => {
  const reply = await nats.replies.request('$JS.API.STREAM.INFO.AUDIT', '', 5_000);
  if (typeof reply === 'string') throw new Error(reply);
  return reply.json();
};

describe('the audit trail', () => {
  it('keeps its records for as long as it is told to, and gives none away', async () => {
    expect((await info(broker.nats)).config).toMatchObject({ max_age: 90 * 86_400 * 1e9, discard: 'old', deny_delete: true, deny_purge: true });
    await provision(broker.nats, { logMaxBytes: 256 * MIB, auditDays: 7 });
    expect((await info(broker.nats)).config).toMatchObject({ max_age: 7 * 86_400 * 1e9 });
    await provision(broker.nats, { logMaxBytes: 256 * MIB });
    expect((await info(broker.nats)).config).toMatchObject({ max_age: 7 * 86_400 * 1e9 });
  });

  it('is read newest first, also where a tenant’s records lie far apart', async () => {
    const trail = new AuditTrail(broker.nats, (message) => broker.alarms.push(message));
    for (let n = 0; n < 3_000; n++) trail.add(record(n % 1_000 === 0 ? 'rare' : 'busy', n));
    await trail.stop();
    expect(await idsOf('rare')).toEqual(['rare-2000', 'rare-1000', 'rare-0']);
    const seen: string[] = [];
    for (let cursor: number | undefined, more = true; more; ) {
      const page = await readAudit(broker.nats, 'busy', { ...everything, limit: 700, ...(cursor !== undefined && { cursor }) });
      seen.push(...page.records.map(({ id }) => id));
      more = page.next !== null;
      cursor = page.next ?? undefined;
    }
    expect(seen).toHaveLength(2_997);
    expect(seen).toEqual(seen.toSorted((a, b) => Number(b.slice(5)) - Number(a.slice(5))));
    expect(broker.alarms).toEqual([]);
  });

  it('goes on after a broker that was away; what it could not keep until then raises an alarm', async () => {
    const own = await startBroker({});
    try {
      const trail = new AuditTrail(own.nats, (message) => own.alarms.push(message));
      trail.add(record('t', 0));
      await own.server.kill();
      for (let n = 1; n <= 20; n++) trail.add(record('t', n));
      await own.server.restart();
      await eventually(async () => (await readAudit(own.nats, 't', everything).catch(() => undefined))?.records.length === 21, { timeoutMs: 20_000, what: 'every record' });
      expect(own.alarms).toEqual([]);

      await own.server.kill();
      for (let n = 0; n < 10_005; n++) trail.add(record('t', 100 + n));
      await eventually(() => own.alarms.length > 0, { what: 'an alarm' });
      expect(own.alarms[0]).toMatch(/^\d+ audit records are lost/);
      await trail.stop();
      expect(own.alarms.map((message) => Number.parseInt(message, 10)).reduce((sum, n) => sum + n, 0)).toBe(10_005);
    } finally {
      await own.close();
    }
  }, 60_000);
});
