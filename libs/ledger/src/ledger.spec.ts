import type { ExecutionRef, Plan } from '#libs/contracts';
import { type ClientCommand, type Context, Refused } from '#libs/execution';
import { Audit } from './audit.js';
import { append, load, refresh, submit } from './ledger.js';
import { MemoryLog } from './memory-log.js';
import { LogError } from './store.js';

const ref: ExecutionRef = { tenant: 'acme', execution: 'e1' };
const plan: Plan = { name: 'p', tasks: [{ id: 'a', runner: 'noop', input: {}, dependsOn: [] }] };
const request: ClientCommand = { type: 'RequestExecution', plan, name: 'p', labels: {}, input: {}, dialect: 'canonical' };
const pause: ClientCommand = { type: 'PauseExecution' };
const cancel: ClientCommand = { type: 'CancelExecution', mode: 'immediate' };
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

  describe('of a plan that one commit does not hold', () => {
    const tasks = Array.from({ length: 12 }, (_, i) => ({ id: `t${i}`, runner: 'noop', input: { result: { pad: 'x'.repeat(60_000) } }, dependsOn: [] }));
    const large: ClientCommand = { ...request, plan: { name: 'p', tasks } };
    const typesOf = async (): Promise<readonly string[]> => (await log.history(ref)).map(({ commit }) => commit.events.map(({ type }) => type).join());

    it('appends as many as it takes, and answers once all are stored', async () => {
      const { execution, events } = await submit(log, ref, large, by('c1'));
      expect(await typesOf()).toEqual(['ExecutionRequested', 'ExecutionPlanExtended', 'ExecutionPlanExtended', 'ExecutionPlanExtended']);
      expect(execution).toMatchObject({ version: 4, state: { status: 'pending', incomplete: undefined } });
      expect(execution.state.plan).toEqual(large.plan);
      expect(events).toHaveLength(4);
      expect(await submit(log, ref, large, by('c1'))).toMatchObject({ events: [], execution: { version: 4 } });
    });

    it.each([1, 2, 3])('goes on behind what is stored when the same is sent again after a crash behind %i of them', async (stored) => {
      log.faults = { before: () => { if (log.lastSequence === stored) throw new LogError('LOG_UNAVAILABLE', 'crashed'); } };
      await expect(submit(log, ref, large, by('c1'))).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
      expect((await load(log, ref)).state.incomplete).toMatchObject({ missing: 4 - stored });
      log.faults = {};
      expect(await submit(log, ref, large, by('c1'))).toMatchObject({ execution: { version: 4 } });
      expect((await load(log, ref)).state).toMatchObject({ plan: large.plan, incomplete: undefined });
    });

    it('is completed once, however many send it', async () => {
      const all = await Promise.all(Array.from({ length: 8 }, () => submit(log, ref, large, by('c1'))));
      for (const { execution } of all) expect(execution.state.incomplete).toBeUndefined();
      expect(all.reduce((sum, { events }) => sum + events.length, 0)).toBe(4);
      expect((await load(log, ref)).state.plan).toEqual(large.plan);
    });

    it.each([
      [pause, { status: 'paused', incomplete: undefined }],
      [cancel, { status: 'cancelled' }],
    ])('lets others in between: %j', async (command, state) => {
      const append = log.append.bind(log);
      log.append = async (next) => {
        if (log.lastSequence === 2 && next.expected === 2) {
          log.append = append;
          await submit(log, ref, command, by('other'));
        }
        return await append(next);
      };
      await submit(log, ref, large, by('c1')).catch((error: unknown) => expect(error).toMatchObject({ code: 'EXECUTION_TERMINAL' }));
      expect((await typesOf())[2]).toMatch(/^Execution(Paused|CancelRequested)/);
      expect((await load(log, ref)).state).toMatchObject(state);
    });

    it('refuses a task that no commit holds before anything is stored', async () => {
      const huge = { ...large, plan: { name: 'p', tasks: [...tasks, { id: 'huge', runner: 'noop', input: { pad: 'x'.repeat(262_144) }, dependsOn: [] }] } };
      await expect(submit(log, ref, huge, by('c1'))).rejects.toMatchObject({ code: 'COMMIT_TOO_LARGE' });
      expect(log.lastSequence).toBe(0);
    });

    it('puts small parts into one commit', async () => {
      await submit(log, ref, { ...large, plan: { name: 'p', tasks: tasks.slice(0, 10) } }, by('c1'));
      expect(await typesOf()).toEqual(['ExecutionRequested', 'ExecutionPlanExtended', 'ExecutionPlanExtended,ExecutionPlanExtended']);
    });

    it('leaves no trace in the audit', async () => {
      await submit(log, ref, large, by('c1'));
      const audit = new Audit('log');
      expect([...(await log.history(ref)).flatMap((stored) => audit.take(stored)), ...audit.end(4)]).toEqual([]);
    });
  });
});
