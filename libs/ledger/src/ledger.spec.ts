import type { ExecutionRef, Plan } from '#libs/contracts';
import { type ClientCommand, type Context, Refused } from '#libs/execution';
import { append, load, refresh, submit } from './ledger.js';
import { MemoryLog } from './memory-log.js';
import { LogError } from './store.js';

const ref: ExecutionRef = { tenant: 'acme', execution: 'e1' };
const plan: Plan = { name: 'p', tasks: [{ id: 'a', runner: 'noop', input: {}, dependsOn: [] }] };
const request: ClientCommand = { type: 'RequestExecution', plan, name: 'p', labels: {}, input: {}, dialect: 'canonical' };
const pause: ClientCommand = { type: 'PauseExecution' };
const by = (cause: string): Context => ({ now: 1_000, cause, actor: 'tester', correlationId: 'k1' });

describe('submitting a command', () => {
  let log: MemoryLog;
  beforeEach(() => {
    log = new MemoryLog();
  });

  it('appends what was decided, and answers a repeated command as before', async () => {
    expect(await submit(log, ref, request, by('c1'))).toMatchObject({ events: [{ type: 'ExecutionRequested' }], execution: { version: 1, sequence: 1 } });
    expect(await submit(log, ref, request, by('c1'))).toMatchObject({ events: [], execution: { version: 1 } });
    await expect(submit(log, ref, request, by('c2'))).rejects.toMatchObject({ code: 'EXECUTION_EXISTS' });
    expect((await log.head()).sequence).toBe(1);
  });

  it('decides again on what others appended first', async () => {
    await submit(log, ref, request, by('c1'));
    const stale = await load(log, ref);
    await submit(log, ref, pause, by('c2'));
    expect(await append(log, stale, [{ type: 'ExecutionResumed', at: '2026-11-20T12:00:00.000Z', cause: 'c3', actor: 't', correlationId: 'k', data: {} }])).toBeUndefined();
    const fresh = await refresh(log, stale);
    expect(fresh).toMatchObject({ version: 2, state: { status: 'paused' } });
    expect(fresh).toEqual(await load(log, ref));
  });

  it('lets each of many commands at once be decided on what the ones before it left', async () => {
    await submit(log, ref, request, by('c1'));
    const results = await Promise.all(Array.from({ length: 10 }, (_, i) => submit(log, ref, pause, by(`p${i}`))));
    expect(results.filter(({ events }) => events.length > 0)).toHaveLength(1);
    expect((await load(log, ref)).version).toBe(2);
  });

  it('passes refusals and faults of the log on', async () => {
    await expect(submit(log, ref, pause, by('c1'))).rejects.toThrow(Refused);
    log.faults = {
      after: () => {
        throw new LogError('OUTCOME_UNKNOWN', 'no answer');
      },
    };
    await expect(submit(log, ref, request, by('c1'))).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN', retryable: true });
    log.faults = {};
    expect(await submit(log, ref, request, by('c1'))).toMatchObject({ events: [] });
  });

  it('says so when the log ends before what was read from it', async () => {
    await submit(log, ref, request, by('c1'));
    const { execution } = await submit(log, ref, pause, by('c2'));
    log.restore(1);
    await expect(refresh(log, execution)).rejects.toMatchObject({ code: 'LOG_WENT_BACK' });
  });
});
