import type { ExecutionRef } from '#libs/contracts';
import { LogError, MemoryLog } from '#libs/ledger';
import type { ExecutionDetail } from '#libs/projections';
import { Executions } from './executions.js';

const request = {
  plan: { name: 'plan', tasks: [{ id: 'a', runner: 'noop', input: {}, dependsOn: [] }] },
  name: 'named',
  labels: { team: 'a' },
  input: { n: 1 },
};

/** A projection that is behind: it knows nothing. */
const behind = {
  execution: () => Promise.resolve({ asOfSeq: 0, found: undefined }),
  tasks: () => Promise.resolve({ asOfSeq: 0, found: undefined }),
};

let log: MemoryLog;
let isNearlyFull: boolean;
let executions: Executions;
beforeEach(() => {
  log = new MemoryLog();
  isNearlyFull = false;
  executions = new Executions(log, behind, () => isNearlyFull);
});

const accepted = async (): Promise<ExecutionRef> => ({ tenant: 't', execution: (await executions.request('t', request, 'c')).id });

describe('reading what was just accepted', () => {
  it('never misses: what the projection does not know is folded from the log', async () => {
    const ref = await accepted();
    await executions.control(ref, { type: 'PauseExecution' }, 'c');
    expect(await executions.detail(ref)).toMatchObject({
      id: ref.execution,
      name: 'named',
      status: 'paused',
      labels: { team: 'a' },
      input: { n: 1 },
      tasks: { total: 1, ended: 0, failed: 0 },
      version: 2,
      sequence: 2,
      asOfSeq: 2,
    });
    expect(await executions.tasks(ref)).toMatchObject({ tasks: [{ id: 'a', runner: 'noop', status: 'pending' }], asOfSeq: 2 });
  });

  it('prefers the projection, and says as of when', async () => {
    const found = { id: 'x', status: 'running' } as ExecutionDetail;
    const known = { ...behind, execution: () => Promise.resolve({ asOfSeq: 9, found }) };
    const ref = { tenant: 't', execution: 'x' };
    expect(await new Executions(log, known, () => false).detail(ref)).toEqual({ ...found, asOfSeq: 9 });
  });

  it('says of an execution that nobody requested that it is not there', async () => {
    const notFound = { status: 404, code: 'EXECUTION_NOT_FOUND' };
    const ref = { tenant: 't', execution: 'nobody' };
    await expect(executions.detail(ref)).rejects.toMatchObject(notFound);
    await expect(executions.tasks(ref)).rejects.toMatchObject(notFound);
    await expect(executions.events(ref, { sequence: 0, index: 0 }, 10)).rejects.toMatchObject(notFound);
    await expect(executions.mustExist(ref)).rejects.toMatchObject(notFound);
  });
});

it('pages through events by position without a gap or a repeat, across commits of several events', async () => {
  const ref = await accepted();
  await executions.control(ref, { type: 'PauseExecution' }, 'c');
  await executions.control(ref, { type: 'CancelExecution', mode: 'immediate' }, 'c');
  const whole = (await executions.events(ref, { sequence: 0, index: 0 }, 1_000)).events;
  expect(whole.length).toBeGreaterThan(log.lastSequence);

  const paged = [];
  let after = { sequence: 0, index: 0 };
  for (let next: string | null = ''; next !== null && paged.length <= whole.length; ) {
    const page = await executions.events(ref, after, 1);
    paged.push(...page.events);
    next = page.next;
    const [sequence = 0, index = 0] = (next ?? '').split('/').map(Number);
    after = { sequence, index };
  }
  expect(paged).toEqual(whole);
  expect(new Set(whole.map(({ id }) => id)).size).toBe(whole.length);
});

describe('a request that was not stored', () => {
  it('says of a plan that is too large how much is allowed', async () => {
    const large = { ...request, input: { text: 'x'.repeat(300_000) } };
    await expect(executions.request('t', large, 'c')).rejects.toMatchObject({
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
    const error: unknown = await executions.request('t', request, 'c').catch((reason: unknown) => reason);
    expect(error).toMatchObject({ status: 503, code: 'OUTCOME_UNKNOWN' });
    expect(String(error)).toContain(`/api/v1/executions/${stored}`);
    await expect(executions.mustExist({ tenant: 't', execution: stored })).resolves.toBeUndefined();
  });

  it('is refused while the log is nearly full, while those that run can still be commanded', async () => {
    const ref = await accepted();
    isNearlyFull = true;
    await expect(executions.request('t', request, 'c')).rejects.toMatchObject({ status: 503, code: 'LOG_NEARLY_FULL' });
    expect(await executions.control(ref, { type: 'PauseExecution' }, 'c')).toMatchObject({ status: 'paused', changed: true });
  });
});
