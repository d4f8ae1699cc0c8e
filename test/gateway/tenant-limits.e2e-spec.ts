import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '#libs/testing';
import { type Answer, type Service, executions, startService } from './service.js';

const plan = { name: 'plan', tasks: [{ id: 'a', runner: 'noop' }] };
const of = (tenant: string): Record<string, string> => ({ 'x-tenant-id': tenant });

let folder: string;
let service: Service;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'runledger-limits-'));
  const file = join(folder, 'tenants.json');
  writeFileSync(
    file,
    JSON.stringify({
      small: { limits: { activeExecutions: 3 } },
      queued: { limits: { queuedTasks: 4 } },
      stored: { limits: { storageBytes: 2_000 } },
      plans: { limits: { planBytes: 100 } },
    }),
  );
  service = await startService({ RUNLEDGER_TENANTS: file, RUNLEDGER_TENANT: 'small' });
}, 30_000);
afterAll(async () => {
  await service.stop();
  rmSync(folder, { recursive: true });
});

const request = (tenant: string, more: Record<string, string> = {}, body: object = { plan }): Promise<Answer> => service.post(executions, body, { ...of(tenant), ...more });

describe('limits of a tenant', () => {
  it('hold for executions that have not ended; what was accepted is answered again all the same, and room comes with an end', async () => {
    const key = { 'idempotency-key': 'first' };
    const first = await request('small', key);
    const others = await Promise.all(Array.from({ length: 10 }, () => request('small')));
    expect(others.filter(({ status }) => status === 202)).toHaveLength(2);
    const refused = others.find(({ status }) => status !== 202);
    expect(refused).toMatchObject({ status: 429, body: { code: 'TENANT_LIMIT', detail: expect.stringContaining('may have 3') as string } });
    expect(refused?.headers.get('retry-after')).toBe('5');
    expect(await request('small', key)).toMatchObject({ status: 202, body: first.body });
    expect((await request('other')).status).toBe(202);

    await service.post(`${executions}/${String(first.body['id'])}/cancel`, {});
    await service.drive(String(first.body['id']));
    await eventually(async () => (await request('small')).status === 202, { what: 'room for another' });
    await eventually(async () => (await request('small')).status === 429, { what: 'the end of that room' });
  });

  it('hold for tasks that have not started, and for what a tenant has in the log', async () => {
    const three = { plan: { name: 'p', tasks: ['a', 'b', 'c'].map((id) => ({ id, runner: 'noop' })) } };
    expect((await request('queued', {}, three)).status).toBe(202);
    expect(await request('queued', {}, three)).toMatchObject({ status: 429, body: { code: 'TENANT_LIMIT' } });
    expect((await request('queued')).status).toBe(202);

    let accepted = 0;
    await eventually(async () => ((await request('stored')).status === 202 ? (accepted += 1) && false : true), { what: 'the limit' });
    expect(accepted).toBeGreaterThan(1);
    expect(accepted).toBeLessThan(40);
    const { body } = await service.get('/api/v1/stats', of('stored'));
    expect((body['storage'] as { bytes: number }).bytes).toBeGreaterThan(0);
  });

  it('hold for the size of a plan', async () => {
    expect((await request('plans')).status).toBe(202);
    const large = { plan: { ...plan, name: 'x'.repeat(100) } };
    expect(await request('plans', {}, large)).toMatchObject({ status: 413, body: { code: 'PLAN_TOO_LARGE', detail: expect.stringContaining('may have 100') as string } });
    expect((await request('small', {}, large)).status).not.toBe(413);
  });

  it('refuse nobody for a projector that is away', async () => {
    await service.stopProjector();
    try {
      expect((await request('plans')).status).toBe(202);
      expect((await request('queued', {}, { plan })).status).toBeLessThan(500);
    } finally {
      await service.startProjector();
    }
  });
});
