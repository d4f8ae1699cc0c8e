import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readTenantPolicies } from './tenant-policies.js';

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'runledger-tenants-'))));
afterAll(() => rmSync(folder, { recursive: true }));

const fileWith = (content: unknown): string => {
  const file = join(folder, 'tenants.json');
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
};

describe('what tenants may', () => {
  it('is not limited where nothing is set', () => {
    const policies = readTenantPolicies({});
    expect(policies).toMatchObject({ hasRates: false, hasLimits: false, unauthenticated: { limit: 120, windowMs: 60_000 } });
    expect(policies.of('anyone')).toEqual({ rates: {}, limits: {}, retention: {} });
  });

  it('comes from the own entry, else from that of all, else from the setting, name by name; null lifts', () => {
    const { of, hasRates, hasLimits, unauthenticated } = readTenantPolicies({
      RUNLEDGER_RATE_LIMITS: 'start=300/min, read=10/s,workspace.start=5/h,unauthenticated=7/min',
      RUNLEDGER_TENANTS: fileWith({
        '*': { limits: { activeExecutions: 10, planBytes: 1_000 }, rates: { start: '200/min' } },
        acme: { limits: { activeExecutions: 0 }, rates: { read: null } },
        '__proto__x': {},
      }),
    });
    expect([hasRates, hasLimits, unauthenticated]).toEqual([true, true, { limit: 7, windowMs: 60_000 }]);
    const all = { start: { limit: 200, windowMs: 60_000 }, read: { limit: 10, windowMs: 1_000 }, 'workspace.start': { limit: 5, windowMs: 3_600_000 } };
    expect(of('anyone')).toEqual({ limits: { activeExecutions: 10, planBytes: 1_000 }, rates: all, retention: {} });
    expect(of('acme')).toEqual({ limits: { activeExecutions: 0, planBytes: 1_000 }, rates: { ...all, read: undefined }, retention: {} });
    expect(of('constructor')).toEqual(of('anyone'));
  });

  it('keeps what has ended as the settings say, of a tenant as its own entry says, or for ever', () => {
    const kept = { RUNLEDGER_RETENTION_DAYS: '30', RUNLEDGER_RETENTION_EXECUTIONS: '1000' };
    const { of, hasRetention } = readTenantPolicies({ ...kept, RUNLEDGER_TENANTS: fileWith({ acme: { retention: { days: null, executions: 5 } } }) });
    expect([hasRetention, of('anyone').retention, of('acme').retention]).toEqual([true, { days: 30, executions: 1_000 }, { days: undefined, executions: 5 }]);
    expect(readTenantPolicies({ RUNLEDGER_RETENTION_DAYS: '' }).hasRetention).toBe(false);
    expect(() => readTenantPolicies({ RUNLEDGER_RETENTION_DAYS: 'some' })).toThrow(/RUNLEDGER_RETENTION_DAYS/);
    expect(() => readTenantPolicies({ RUNLEDGER_TENANTS: fileWith({ acme: { retention: { hours: 1 } } }) })).toThrow(/hours is unknown/);
  });

  it.each([
    ['no JSON', '{', /can't be read as JSON/],
    ['a list', [], /the file must be an object/],
    ['a tenant that can be none', { 'a.b': {} }, /\/a\.b is neither/],
    ['an unknown part', { acme: { limit: {} } }, /\/acme\/limit is unknown; known are limits, rates/],
    ['an unknown limit', { acme: { limits: { tasks: 1 } } }, /\/acme\/limits\/tasks is unknown/],
    ['a limit below 0', { '*': { limits: { planBytes: -1 } } }, /\/\*\/limits\/planBytes must be an integer from 0/],
    ['an unknown rate', { acme: { rates: { write: '1/s' } } }, /\/acme\/rates\/write is unknown/],
    ['a rate of nothing', { acme: { rates: { read: '0/s' } } }, /\/acme\/rates\/read must be a rate/],
    ['several faults', { acme: { rates: { read: 3 }, limits: 1 } }, /\/acme\/limits must be an object; \/acme\/rates\/read must/],
  ])('is refused with the path to each fault: %s', (_, content, message) => {
    expect(() => readTenantPolicies({ RUNLEDGER_TENANTS: fileWith(content) })).toThrow(message);
  });

  it.each(['start', 'start=', 'start=5', 'start=5/day', 'start=-1/s', 'write=1/s', 'start=1.5/s'])('is not to be set by %s', (rates) => {
    expect(() => readTenantPolicies({ RUNLEDGER_RATE_LIMITS: rates })).toThrow(/RUNLEDGER_RATE_LIMITS/);
  });

  it('is not to be read from a file that is not there', () => {
    expect(() => readTenantPolicies({ RUNLEDGER_TENANTS: join(folder, 'nothing.json') })).toThrow(/RUNLEDGER_TENANTS.*nothing/);
  });
});
