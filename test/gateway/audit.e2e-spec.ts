import { connect } from 'node:net';
import type { AuditRecord } from '#libs/contracts';
import { readSettings } from '#libs/platform';
import { eventually } from '#libs/testing';
import { Keys } from './keys.js';
import { type Service, executions, startService } from './service.js';

const audit = '/api/v1/audit';
const plan = { name: 'plan', tasks: [{ id: 'a', runner: 'noop' }] };

type Headers = Record<string, string>;
type Page = { readonly records: readonly AuditRecord[]; readonly next: number | null };

const pageOf = async (service: Service, query: string, headers: Headers): Promise<Page> =>
  (await service.get(`${audit}${query}`, headers)).body as unknown as Page;

/** The records, once there are so many: they are written behind the answers. */
const records = async (service: Service, count: number, query: string, headers: Headers): Promise<readonly AuditRecord[]> => {
  let found: readonly AuditRecord[] = [];
  await eventually(async () => (found = (await pageOf(service, query, headers)).records).length >= count, { what: `${count} audit records` });
  return found;
};

/** The record of one request, once it is there. */
const recordOf = (service: Service, correlationId: string, headers: Headers): Promise<AuditRecord> =>
  eventually(async () => (await pageOf(service, '', headers)).records.find((record) => record.correlationId === correlationId), { what: `the record of ${correlationId}` });

describe('the audit, with authentication', () => {
  let service: Service;
  let keys: Keys;
  beforeAll(async () => {
    service = await startService({ RUNLEDGER_AUTH_ENABLED: 'true', RUNLEDGER_TENANT: 'operator' });
    keys = await Keys.open(service);
  }, 30_000);
  afterAll(async () => {
    keys.stop();
    await service.stop();
  });

  it('says who did what, from where, and what became of it; reads that were answered leave nothing', async () => {
    const [admin, operator] = [await keys.of('admin', { tenant: 'acme' }), await keys.of('operator', { tenant: 'acme' })];
    const { body } = await service.post(executions, { plan }, { ...operator, 'x-correlation-id': 'c-1', 'user-agent': 'curl/8' });
    const id = String(body['id']);
    await service.get(`${executions}/${id}`, operator);
    await service.get(`${executions}/nobody`, operator);
    await service.post(`${executions}/${id}/pause`, {}, operator);
    await service.post(`${executions}/nobody/cancel`, {}, operator);
    await service.get(audit, operator);

    const found = await records(service, 4, '', admin);
    const actor = found[0]?.actor;
    expect(actor).toMatch(/^key:/);
    expect(found).toMatchObject([
      { actor, permission: 'audit.read', method: 'GET', route: audit, status: 403, code: 'FORBIDDEN' },
      { actor, permission: 'executions.control', route: `${executions}/{id}/cancel`, target: 'nobody', status: 404, code: 'EXECUTION_NOT_FOUND' },
      { actor, permission: 'executions.control', route: `${executions}/{id}/pause`, target: id, status: 200 },
      {
        tenant: 'acme', actor, permission: 'executions.request', method: 'POST', route: executions, target: id, status: 202,
        address: '127.0.0.1', correlationId: 'c-1', userAgent: 'curl/8',
      },
    ]);
    expect(found).toHaveLength(4);
  });

  it('is filtered, and read page by page, newest first', async () => {
    const [admin, operator] = [await keys.of('admin', { tenant: 'pages' }), await keys.of('operator', { tenant: 'pages' })];
    const from = new Date().toISOString();
    for (let n = 0; n < 5; n++) await service.post(executions, { plan }, { ...operator, 'x-correlation-id': `n${n}` });
    await service.post(executions, { plan: 'none' }, operator);
    const all = await records(service, 6, '', admin);
    expect(all.map(({ status }) => status)).toEqual([400, 202, 202, 202, 202, 202]);
    const actor = String(all[0]?.actor);

    const walked: AuditRecord[] = [];
    for (let next: number | null = null, first = true; first || next !== null; first = false) {
      const page: Page = await pageOf(service, `?limit=2&actor=${actor}${next === null ? '' : `&cursor=${next}`}`, admin);
      walked.push(...page.records);
      next = page.next;
    }
    expect(walked).toEqual(all);
    const count = async (query: string): Promise<number> => (await pageOf(service, query, admin)).records.length;
    expect(await count('?outcome=refused')).toBe(1);
    expect(await count('?outcome=done')).toBe(5);
    expect(await count('?outcome=failed')).toBe(0);
    expect(await count('?permission=executions.control')).toBe(0);
    expect(await count('?actor=key:other')).toBe(0);
    expect(await count(`?from=${from}`)).toBe(6);
    expect(await count(`?until=${from}`)).toBe(0);
    const third = String(all[3]?.at);
    expect(await count(`?from=${third}`)).toBeGreaterThanOrEqual(4);
    expect(await count(`?until=${third}`)).toBeLessThanOrEqual(2);
    for (const query of ['?outcome=maybe', '?permission=everything', '?limit=0', '?cursor=x', '?from=yesterday', '?tenant=acme']) {
      expect(await service.get(audit + query, admin)).toMatchObject({ status: 400, body: { code: 'QUERY_INVALID' } });
    }
  });

  it('is of the own tenant alone; what came without credentials that count stands with the server’s own', async () => {
    const [acme, operator] = [await keys.of('admin', { tenant: 'mine' }), await keys.of('admin', { tenant: 'operator' })];
    await service.post(executions, { plan }, acme);
    await service.post(executions, { plan }, { 'x-correlation-id': 'stranger', 'x-tenant-id': 'mine' });
    expect(await recordOf(service, 'stranger', operator)).toMatchObject({ tenant: 'operator', actor: 'anonymous', status: 401, code: 'CREDENTIALS_MISSING' });
    const own = await records(service, 1, '', acme);
    expect(own.map(({ tenant, status }) => [tenant, status])).toEqual([['mine', 202]]);
    expect(JSON.stringify(await pageOf(service, '', operator))).not.toContain('mine');
  });

  it('notes no more of a client than 200 printable characters, and of one that is refused for ever no more than 60 records a minute', async () => {
    const [admin, viewer] = [await keys.of('admin', { tenant: 'flood' }), await keys.of('viewer', { tenant: 'flood' })];
    await service.post(executions, {}, { ...viewer, 'user-agent': `Ä\u0080${'x'.repeat(500)}` });
    const [first] = await records(service, 1, '', admin);
    expect(first?.userAgent).toBe(`??${'x'.repeat(198)}`);
    await Promise.all(Array.from({ length: 100 }, () => service.post(executions, {}, viewer)));
    expect(await records(service, 60, '?limit=1000', admin)).toHaveLength(60);
  });

  it('misses no client that hangs up before it is answered', async () => {
    const admin = await keys.of('admin', { tenant: 'gone' });
    const body = JSON.stringify({ plan });
    const { hostname, port } = new URL(service.url);
    for (let n = 0; n < 10; n++) {
      const socket = connect(Number(port), hostname);
      const head = `POST ${executions} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: ${String(admin['authorization'])}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
      await new Promise<void>((resolve) => void socket.write(head + body, () => resolve()));
      socket.resetAndDestroy();
    }
    const made = async (): Promise<number> => ((await service.get(executions, admin)).body['executions'] as unknown[]).length;
    await eventually(async () => (await made()) > 0, { what: 'an execution of a client that is gone' });
    await eventually(async () => (await records(service, 1, '', admin)).length === (await made()), { what: 'a record of each' });
  });

  it('forged X-Forwarded-For gains nothing', async () => {
    const admin = await keys.of('admin', { tenant: 'forged' });
    await service.post(executions, { plan }, { ...admin, 'x-forwarded-for': '203.0.113.9', forwarded: 'for=203.0.113.9', 'x-real-ip': '203.0.113.9' });
    expect((await records(service, 1, '', admin))[0]?.address).toBe('127.0.0.1');
  });
});

describe('the audit, behind a trusted proxy', () => {
  it('notes the address that the proxy saw, whatever the client had put in front of it', async () => {
    const service = await startService({ RUNLEDGER_AUTH_ENABLED: 'true', RUNLEDGER_TRUSTED_PROXIES: '127.0.0.1,10.0.0.0/8' });
    const keys = await Keys.open(service);
    try {
      for (const [forwarded, address] of [['203.0.113.9', '203.0.113.9'], ['6.6.6.6, 203.0.113.9, 10.1.2.3', '203.0.113.9'], ['<script>', '127.0.0.1']] as const) {
        const admin = await keys.of('admin', { tenant: `t${forwarded.length}` });
        await service.post(executions, { plan }, { ...admin, 'x-forwarded-for': forwarded });
        expect(await records(service, 1, '', admin)).toMatchObject([{ address, status: 202 }]);
      }
    } finally {
      keys.stop();
      await service.stop();
    }
  }, 30_000);

  it('forged X-Forwarded-For gains nothing from where there is none', async () => {
    const service = await startService({ RUNLEDGER_AUTH_ENABLED: 'true', RUNLEDGER_TRUSTED_PROXIES: '10.0.0.0/8', RUNLEDGER_TENANT: 'operator' });
    const keys = await Keys.open(service);
    try {
      const admin = await keys.of('admin', { tenant: 'operator' });
      await service.post(executions, { plan }, { 'x-forwarded-for': '203.0.113.9, 10.0.0.1', 'x-correlation-id': 'forged' });
      expect(await recordOf(service, 'forged', admin)).toMatchObject({ address: '127.0.0.1', status: 401 });
    } finally {
      keys.stop();
      await service.stop();
    }
  }, 30_000);

  it.each(['nonsense', '10.0.0.0/33', '10.0.0.0/8/8', '::1/129', '10.0.0.0/'])('is not to be set up with %s', (proxies) => {
    expect(() => readSettings({ RUNLEDGER_TRUSTED_PROXIES: proxies })).toThrow(/RUNLEDGER_TRUSTED_PROXIES.*address/);
  });
});
