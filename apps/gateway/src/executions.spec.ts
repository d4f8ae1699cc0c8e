import type { ExecutionRef } from '#libs/contracts';
import { LogError, MemoryLog } from '#libs/ledger';
import { type Caller, Executions } from './executions.js';

const request = {
  plan: { name: 'plan', tasks: [{ id: 'a', runner: 'noop', input: {}, dependsOn: [] }] },
  name: 'named',
  labels: { team: 'a' },
  input: { n: 1 },
};

const caller: Caller = { actor: 'test', correlationId: 'c' };

let log: MemoryLog;
let isNearlyFull: boolean;
let executions: Executions;
beforeEach(() => {
  log = new MemoryLog();
  isNearlyFull = false;
  executions = new Executions(log, () => isNearlyFull, { reserve: () => Promise.resolve({ accepted: () => undefined, release: () => undefined }) });
});

const accepted = async (): Promise<ExecutionRef> => ({ tenant: 't', execution: (await executions.request('t', request, caller)).id });

describe('a request that was not stored', () => {
  it('says of a plan that is too large how much is allowed', async () => {
    const large = { ...request, input: { text: 'x'.repeat(300_000) } };
    await expect(executions.request('t', large, caller)).rejects.toMatchObject({
      status: 413,
      code: 'PLAN_TOO_LARGE',
      message: expect.stringContaining('256 KiB') as string,
    });
  });

  it('names the execution to look for when nobody knows whether it was', async () => {
    let stored = '';
    log.faults = {
      after: ({ ref }) => {
        stored = ref.execution;
        throw new LogError('OUTCOME_UNKNOWN', 'no answer');
      },
    };
    const error: unknown = await executions.request('t', request, caller).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ status: 503, code: 'OUTCOME_UNKNOWN' });
    expect(String(error)).toContain(`/api/v1/executions/${stored}`);
    expect(await log.history({ tenant: 't', execution: stored })).toHaveLength(1);
  });

  it('is refused while the log is nearly full, while those that run can still be commanded', async () => {
    const ref = await accepted();
    isNearlyFull = true;
    await expect(executions.request('t', request, caller)).rejects.toMatchObject({ status: 503, code: 'LOG_NEARLY_FULL' });
    expect(await executions.control(ref, { type: 'PauseExecution' }, caller)).toMatchObject({ status: 'paused', changed: true });
  });

  it('is refused no answer that it got before, also while the log is nearly full', async () => {
    const keyed: Caller = { ...caller, idempotency: { key: 'k', fingerprint: 'f' } };
    const first = await executions.request('t', request, keyed);
    isNearlyFull = true;
    expect(await executions.request('t', request, keyed)).toEqual({ ...first, replayed: true });
    const another: Caller = { ...caller, idempotency: { key: 'another', fingerprint: 'f' } };
    await expect(executions.request('t', request, another)).rejects.toMatchObject({ code: 'LOG_NEARLY_FULL' });
  });
});
