import fc from 'fast-check';
import type { Event } from '#libs/contracts';
import { type Log, World, generatedLogs as logs } from '#libs/testing';
import { type State, fold, illegality, initial, isBusy, isTerminal, next, whyNot } from './index.js';
import { isJoined } from './task-state.js';

/** What an owner does that knows nothing but the log: whatever the dead executor ran is lost, whatever it runs itself ends. */
const recover = (prefix: Log): World => {
  const world = new World(prefix);
  for (const { taskId, attempt } of world.attempts()) world.tell({ type: 'RecordLostAttempt', taskId, attempt });
  for (let round = 0; round < 500 && !isTerminal(world.state.status); round++) {
    if (world.state.status === 'paused') world.tell({ type: 'ResumeExecution' });
    const due = next(world.state, world.now);
    if (due.advance) world.tell({ type: 'Advance' });
    for (const taskId of due.decide) world.tell({ type: 'DecideLoop', taskId, isOver: round % 2 === 0 });
    for (const taskId of due.start) world.start(taskId, 'second', 2);
    for (const { taskId, attempt } of world.attempts()) {
      world.tell({ type: 'RecordOutcome', taskId, attempt, outcome: { ok: true, result: {} } });
    }
    world.approveAll();
    for (const { taskId, attempt } of world.eventWaits()) world.tell({ type: 'RecordEvent', taskId, attempt, event: {} });
    for (const { taskId, attempt } of world.subExecutions()) world.tell({ type: 'RecordChildEnd', taskId, attempt, end: { status: 'completed', result: {} } });
    for (const { name } of world.state.listeners) world.tell({ type: 'SendSignal', name, payload: {} });
    if (!due.advance && due.decide.length === 0 && due.start.length === 0 && due.wakeAt !== undefined) world.now = Math.max(world.now, due.wakeAt);
  }
  return world;
};

const expectedEnd = (state: State): string => {
  if (state.cancel) return 'cancelled';
  const failed = [...state.tasks.values()].some(
    ({ id, status }) => status === 'failed' && state.graph.task.get(id)?.onFailure !== 'continue',
  );
  return failed || state.reason?.code === 'EXECUTION_TIMED_OUT' ? 'failed' : 'completed';
};

describe('every generated log', () => {
  it('is driven to a correct end from every prefix of it', () => {
    fc.assert(
      fc.property(logs, (log) => {
        for (let length = 1; length <= log.length; length++) {
          const { state } = recover(log.slice(0, length));
          expect(state.status).toBe(expectedEnd(state));
          for (const task of state.tasks.values()) expect(isTerminal(task.status)).toBe(true);
          expect([state.open, state.running]).toEqual([0, 0]);
        }
      }),
      { numRuns: 600 },
    );
  });

  it('says nothing after its end but that a result came too late, and time never runs backwards in it', () => {
    fc.assert(
      fc.property(logs, (log) => {
        const events = log.flat();
        const end = events.findIndex(({ type }) => /^Execution(Completed|Failed|Cancelled)$/.test(type));
        if (end >= 0) expect(events.slice(end + 1).every(({ type }) => type === 'TaskResultIgnored')).toBe(true);
        const times = events.map(({ at }) => Date.parse(at));
        expect(times).toEqual(times.toSorted((a, b) => a - b));
      }),
      { numRuns: 1_000 },
    );
  });

  it('holds nothing that the rules of what may follow forbid', () => {
    fc.assert(
      fc.property(logs, (log) => {
        fold(initial, log.flat(), (state, event) => expect([event.type, illegality(state, event)]).toEqual([event.type, undefined]));
      }),
      { numRuns: 1_000 },
    );
  });

  it('starts a task only after what it depends on ended well, within its attempts and the concurrency of the plan', () => {
    fc.assert(
      fc.property(logs, (log) => {
        let state = initial;
        for (const event of log.flat()) {
          if (event.type === 'TaskStarted') {
            const plan = state.graph.task.get(event.data.taskId);
            for (const id of plan?.dependsOn ?? []) {
              const { status, passedOver } = state.tasks.get(id) ?? {};
              const passed = status === 'failed' && state.graph.task.get(id)?.onFailure === 'continue';
              expect(status === 'completed' || passedOver || passed).toBe(true);
            }
            const { losses = 0 } = state.tasks.get(event.data.taskId) ?? {};
            expect(event.data.attempt).toBeLessThanOrEqual((plan?.retry?.maxAttempts ?? 1) + losses);
          }
          state = fold(state, [event]);
          expect(state.running).toBeLessThanOrEqual(state.plan.concurrency ?? Infinity);
          const tasks = [...state.tasks.values()];
          expect(state.running).toBe(tasks.filter(isBusy).length);
          expect(state.joins).toBe(tasks.filter(isJoined).length);
          expect(state.open).toBe(tasks.filter(({ status }) => !isTerminal(status)).length);
          expect(state.forward).toBe(tasks.filter(({ status, compensates }) => !isTerminal(status) && compensates === undefined).length);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('undoes what completed and nothing else, the last completed first, when all else has ended and not well', () => {
    let undone = 0;
    fc.assert(
      fc.property(logs, (log) => {
        const { state, log: whole } = recover(log);
        const events = whole.flat();
        const completed: string[] = [];
        const expected: string[] = [];
        for (const event of events) {
          if (event.type === 'TaskCompleted') completed.unshift(event.data.taskId);
          if (event.type === 'ExecutionCompensationStarted') expected.push(...completed.flatMap((id) => state.graph.compensations.get(id) ?? []));
        }
        const starts = events.flatMap((event) => (event.type === 'TaskStarted' ? [event.data.taskId] : []));
        const started = [...new Set(starts.filter((id) => state.tasks.get(id)?.compensates !== undefined && !state.tasks.get(id)?.parent))];
        undone += started.length;
        // An immediate cancel, or a start that nobody made in time, leaves some out.
        expect(started).toEqual(expected.filter((id) => started.includes(id)));
        const isWhole = state.cancel?.mode !== 'immediate' && expected.every((id) => state.tasks.get(id)?.attempt !== 0);
        if (isWhole) expect(started).toEqual(expected);
        if (state.status === 'completed') expect(started).toEqual([]);
      }),
      { numRuns: 1_000 },
    );
    // The property is about something.
    expect(undone).toBeGreaterThan(20);
  });

  it('folds to the same state in one go and event by event, and a task that has ended never changes its status', () => {
    fc.assert(
      fc.property(logs, (log) => {
        const ended = new Map<string, string>();
        let stepwise = initial;
        for (const event of log.flat()) {
          stepwise = fold(stepwise, [event]);
          for (const { id, status } of stepwise.tasks.values()) {
            expect(status).toBe(ended.get(id) ?? status);
            if (isTerminal(status)) ended.set(id, status);
          }
        }
        expect(stepwise).toEqual(fold(initial, log.flat()));
      }),
      { numRuns: 600 },
    );
  });

  it('gives each signal to one task at most, in the order they came, and leaves no task waiting for one that is there', () => {
    fc.assert(
      fc.property(logs, (log) => {
        const [sent, taken]: Event[][] = [[], []];
        let state = initial;
        for (const event of log.flat()) {
          if (event.type === 'SignalReceived' && event.data.name === 'go') sent?.push(event);
          if (event.type === 'TaskCompleted' && state.tasks.get(event.data.taskId)?.signal !== undefined) taken?.push(event);
          state = fold(state, [event]);
        }
        const payloads = (events: Event[] = []): unknown[] => events.map(({ data }) => ('payload' in data ? data.payload : 'result' in data && data.result?.['payload']));
        expect(payloads(taken)).toEqual(payloads(sent).slice(0, taken?.length));
        const waiting = state.listeners.some(({ name }) => state.signals.some((signal) => signal.name === name));
        expect(waiting && next(state, state.at).advance === false).toBe(false);
      }),
      { numRuns: 600 },
    );
  });

  it('takes one answer of a person to a question, none that is not theirs to give, and ends it with the last that it needs', () => {
    fc.assert(
      fc.property(logs, (log) => {
        const said = new Map<string, string[]>();
        let state = initial;
        for (const event of log.flat()) {
          if (event.type === 'ClarificationResponded') {
            const { taskId, attempt, outcome, decision } = event.data;
            const key = `${taskId}/${attempt}`;
            const before = said.get(key) ?? [];
            const { clarification } = state.tasks.get(taskId) ?? {};
            expect(before).not.toContain(event.actor);
            said.set(key, [...before, event.actor]);
            const last = before.length + 1 === clarification?.asked.required;
            expect(outcome).toBe(decision === 'reject' ? 'rejected' : last ? 'approved' : 'pending');
            expect(clarification && whyNot(clarification, { actor: event.actor, roles: [] }, 'test')).toBeUndefined();
          }
          state = fold(state, [event]);
        }
      }),
      { numRuns: 600 },
    );
  });

  it('has of a fan-out as many items under way as it may, starts none after a failure where it is to fail fast, and ends it after the last', () => {
    let [fanned, looped] = [0, 0];
    fc.assert(
      fc.property(logs, (log) => {
        const { state: end, log: whole } = recover(log);
        let state = initial;
        for (const event of whole.flat()) {
          const task = 'taskId' in event.data ? state.tasks.get(event.data.taskId) : undefined;
          const plan = state.graph.task.get(task?.parent?.id ?? '');
          const siblings = [...state.tasks.values()].filter(({ parent }) => parent !== undefined && parent.id === task?.parent?.id);
          if (event.type === 'TaskStarted' && task?.parent) {
            const underWay = siblings.filter(({ status, attempt }) => status === 'running' || (status === 'pending' && attempt > 0));
            expect(underWay.filter(({ id }) => id !== task.id).length).toBeLessThan(plan?.forEach?.concurrency ?? Infinity);
            if (plan?.forEach?.failFast) expect(siblings.filter(({ status }) => status === 'failed')).toEqual([]);
            if (plan?.loop) expect(underWay.filter(({ id }) => id !== task.id)).toEqual([]);
          }
          state = fold(state, [event]);
        }
        for (const { id, status, children } of end.tasks.values()) {
          if (!children) continue;
          const plan = end.graph.task.get(id);
          const parts = [...end.tasks.values()].filter(({ parent }) => parent?.id === id);
          expect([parts.length, children.open]).toEqual([children.count, 0]);
          if (status === 'completed') for (const part of parts) expect(part.status === 'completed' || part.passedOver).toBe(true);
          if (plan?.forEach && parts.some((part) => part.status === 'failed')) expect(status).toBe('failed');
          if (plan?.loop) expect(parts.length).toBeLessThanOrEqual(plan.loop.maxIterations);
          if (plan?.forEach) fanned += Number(parts.length > 1);
          else looped += Number(parts.length > 1);
        }
      }),
      { numRuns: 1_000 },
    );
    // The property is about something.
    expect([fanned > 50, looped > 20]).toEqual([true, true]);
  });

  it('asks to be woken in the future only, unless there is something to do now', () => {
    fc.assert(
      fc.property(logs, (log) => {
        let state = initial;
        for (const commit of log) {
          state = fold(state, commit);
          for (const now of [state.at, state.at + 100, state.at + 5_000]) {
            const { start, decide, advance, wakeAt } = next(state, now);
            if (start.length === 0 && decide.length === 0 && !advance && wakeAt !== undefined) expect(wakeAt).toBeGreaterThan(now);
          }
        }
      }),
      { numRuns: 600 },
    );
  });

  it('waits for something for as long as it has not ended', () => {
    fc.assert(
      fc.property(logs, (log) => {
        let state = initial;
        for (const commit of log) {
          state = fold(state, commit);
          if (isTerminal(state.status) || state.status === 'paused') continue;
          const { start, decide, advance, wakeAt } = next(state, state.at);
          expect(start.length > 0 || decide.length > 0 || advance || wakeAt !== undefined || state.running > 0).toBe(true);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
