import type { Event, Fact, PlanTask } from '#libs/contracts';
import { type Step, T0, advance, at, cancel, given, iso, pause, request, resume, signal, start, task } from '#libs/testing';
import { decide } from './decide.js';
import { fold } from './evolve.js';
import { illegality } from './legality.js';
import { PART_BYTES, REQUEST_WITHIN_MS } from './limits.js';
import { next } from './next.js';
import { inParts } from './parts.js';
import { type State, initial } from './state.js';
import { successorOf } from './succession.js';

const context = (cause: string, ms = 0): Parameters<typeof decide>[2] => ({ now: T0 + ms, cause, actor: 'test', correlationId: 'test' });
const bulky = (n: number, bytes = 30_000): PlanTask[] =>
  Array.from({ length: n }, (_, i) => task(`t${i}`, { input: { pad: 'ü'.repeat(bytes / 2) }, dependsOn: i < n - 1 ? [`t${i + 1}`] : [] }));
const large = request(bulky(20));
const partsOf = (command: Step, state: State = initial, cause = 'key'): readonly Event[] => inParts(decide(command, state, context(cause)));
const tasksIn = (event: Event): number => {
  if (event.type === 'ExecutionRequested') return event.data.plan.tasks.length;
  return event.type === 'ExecutionPlanExtended' ? event.data.tasks.length : 0;
};
const bytesOf = (value: unknown): number => new TextEncoder().encode(JSON.stringify(value)).length;

describe('a request too large for one event', () => {
  const parts = partsOf(large);

  it('is told in as few as hold its tasks, in the order of the plan, and says how many follow', () => {
    expect(parts.map(({ type, data }) => [type, 'following' in data ? data.following : 'first' in data ? data.first : undefined])).toEqual([
      ['ExecutionRequested', 3],
      ['ExecutionPlanExtended', 6],
      ['ExecutionPlanExtended', 12],
      ['ExecutionPlanExtended', 18],
    ]);
    for (const part of parts) expect(bytesOf(part.data)).toBeLessThan(PART_BYTES + 100);
  });

  it('is the same execution as if it had been told in one', () => {
    const [whole, parted] = [fold(initial, decide(large, initial, context('key'))), fold(initial, parts)];
    expect({ ...parted, tasks: [...parted.tasks.values()] }).toMatchObject({ plan: whole.plan, open: whole.open, forward: whole.forward, incomplete: undefined, status: 'pending' });
    expect([...parted.tasks.values()]).toEqual([...whole.tasks.values()]);
    for (const { id } of bulky(20)) expect(parted.graph.dependents.get(id)).toEqual(whole.graph.dependents.get(id));
    expect(next(parted, T0).start).toEqual(next(whole, T0).start);
  });

  it.each([1, 2, 3])('that was interrupted after %i of them goes on with the parts that were missing', (count) => {
    expect(partsOf(large, fold(initial, parts.slice(0, count)))).toEqual(parts.slice(count));
  });

  it('gives a task that is larger than a part one of its own', () => {
    const tasks = [...bulky(2), task('huge', { input: { pad: 'x'.repeat(PART_BYTES) } }), task('last')];
    expect(partsOf(request(tasks)).map(tasksIn)).toEqual([2, 1, 1]);
  });

  it('leaves a small one as it is', () => {
    const small = decide(request([task('a')]), initial, context('key'));
    expect(inParts(small)).toEqual(small);
    expect(small[0]?.data).not.toHaveProperty('following');
  });
});

describe('a request that takes over more than one commit holds', () => {
  const tasks = bulky(8, 100).map((each) => ({ ...each, dependsOn: [] }));
  const undoing = task('undo', { compensates: 't7' });
  const over = (taskId: string): Fact => ({ type: 'TaskCarriedOver', data: { taskId, status: 'completed', from: 'first', attempt: 1, result: { n: 1 } } });
  const leftOver: Fact = { type: 'TaskSkipped', data: { taskId: 'undo', why: 'left', kind: 'origin' } };
  const origin = { execution: 'first', kind: 'fork', sequence: 3 } as const;
  const succeeding = { ...request([...tasks, undoing]), origin, carried: [...tasks.slice(1).map(({ id }) => over(id)), leftOver] } as Step;
  const parts = partsOf(succeeding);

  it('counts what it takes over, too, and starts nothing before it has come', () => {
    expect(parts[0]?.data).toMatchObject({ following: 8 });
    for (let count = 1; count < parts.length; count++) expect(next(fold(initial, parts.slice(0, count)), T0)).toMatchObject({ start: [], advance: false });
    expect(next(fold(initial, parts), T0).start).toEqual(['t0']);
  });

  it.each([1, 4, 8])('goes on where it was interrupted behind %i events', (count) => {
    expect(partsOf(succeeding, fold(initial, parts.slice(0, count)))).toEqual(parts.slice(count));
  });

  it('follows an event with another in every way that the audit knows', () => {
    const faults: (string | undefined)[] = [];
    fold(initial, parts, (before, event) => faults.push(illegality(before, event)));
    expect(faults).toEqual(parts.map(() => undefined));
    const whole = fold(initial, parts);
    expect(illegality(whole, parts[1]!)).toMatch(/completed/);
  });
});

describe('an execution of which only a part has been requested', () => {
  const [first, second, ...others] = partsOf(large);
  const part = fold(initial, [first!, second!]);
  const decideOn = (state: State, step: Step, ms: number, cause = 'other'): State => fold(state, decide(step, state, context(cause, ms)));
  const settle = (state: State, ms: number): State => {
    for (let now = state; ; ) {
      const after = decideOn(now, advance, ms);
      if (after.events === now.events) return now;
      now = after;
    }
  };

  it('is pending, and nothing of it starts', () => {
    expect(part.status).toBe('pending');
    expect(next(part, T0)).toEqual({ start: [], decide: [], advance: false, wakeAt: T0 + REQUEST_WITHIN_MS });
    expect(() => decide(start('t0'), part, context('s'))).toThrow(expect.objectContaining({ code: 'TASK_NOT_STARTABLE' }) as Error);
  });

  it('starts with the last part', () => {
    expect(next(fold(part, others), T0).start).toEqual(['t19']);
  });

  it('is nobody else’s to complete', () => {
    expect(() => decide(large, part, context('another key'))).toThrow(expect.objectContaining({ code: 'EXECUTION_EXISTS' }) as Error);
  });

  it('can be paused, resumed and signalled meanwhile', () => {
    const paused = decideOn(part, pause, 5);
    expect(paused.status).toBe('paused');
    expect(next(fold(paused, others), T0).start).toEqual([]);
    const resumed = decideOn(decideOn(paused, signal('go'), 6, 'signal'), resume, 7, 'resume');
    expect(next(fold(resumed, others), T0).start).toEqual(['t19']);
  });

  it.each(['graceful', 'immediate'] as const)('is cancelled by a %s cancel, and then it is too late for the rest', (mode) => {
    const cancelled = settle(decideOn(part, cancel(mode), 5), 5);
    expect(cancelled.status).toBe('cancelled');
    expect([...cancelled.tasks.values()].map(({ status }) => status)).toEqual(Array.from({ length: 12 }, () => 'skipped'));
    expect(() => decide(large, cancelled, context('key'))).toThrow(expect.objectContaining({ code: 'EXECUTION_TERMINAL' }) as Error);
  });

  it('fails a minute after its last part when the rest never comes', () => {
    expect(next(part, T0 + REQUEST_WITHIN_MS - 1).advance).toBe(false);
    const failed = settle(part, REQUEST_WITHIN_MS);
    expect(failed).toMatchObject({ status: 'failed', reason: { code: 'REQUEST_INCOMPLETE', message: expect.stringContaining('2 more events') as string } });
    expect(() => decide(large, failed, context('key'))).toThrow(expect.objectContaining({ code: 'EXECUTION_TERMINAL' }) as Error);
  });

  it('is nothing that another one could carry on', () => {
    const failed = [first!, second!, ...decide(advance, part, context('advance', REQUEST_WITHIN_MS))];
    for (const [how, message] of [[{ kind: 'retry' }, /never there/], [{ kind: 'fork' }, /at a later log sequence/]] as const) {
      expect(() => successorOf({ execution: 'x', sequence: 3, events: failed }, how)).toThrow(expect.objectContaining({ code: 'PLAN_INCOMPLETE', message: expect.stringMatching(message) as string }) as Error);
    }
  });

  it('takes no rest any more once it is being given up, however many tasks there are to skip', () => {
    const tasks = Array.from({ length: 900 }, (_, i) => task(`t${i}`, { input: { pad: 'x'.repeat(400) } }));
    const [start1] = partsOf(request(tasks));
    const known = fold(initial, [start1!]);
    const givingUp = decideOn(known, advance, REQUEST_WITHIN_MS);
    expect(givingUp).toMatchObject({ status: 'pending', gaveUp: true });
    expect(() => decide(request(tasks), givingUp, context('key', REQUEST_WITHIN_MS))).toThrow(expect.objectContaining({ code: 'EXECUTION_TERMINAL' }) as Error);
    expect(settle(givingUp, REQUEST_WITHIN_MS)).toMatchObject({ status: 'failed', reason: { code: 'REQUEST_INCOMPLETE' } });
  });

  it('fails also where its first part has compensations only, or no task at all', () => {
    const undoing = Array.from({ length: 6 }, (_, i) => task(`u${i}`, { compensates: `t${i}`, input: { pad: 'x'.repeat(30_000) } }));
    const [onlyUndoing] = partsOf(request([...undoing, ...bulky(6)]));
    const [noTask] = partsOf({ ...request(bulky(2)), input: { pad: 'x'.repeat(PART_BYTES) } } as Step);
    for (const event of [onlyUndoing!, noTask!]) {
      const known = fold(initial, [event]);
      expect(next(known, T0)).toMatchObject({ start: [], advance: false });
      expect(settle(known, REQUEST_WITHIN_MS)).toMatchObject({ status: 'failed', open: 0, reason: { code: 'REQUEST_INCOMPLETE' } });
    }
  });

  it('gives a task with a limit for its start that time once the plan is whole', () => {
    const tasks = bulky(8).map((each) => ({ ...each, dependsOn: [], scheduleToStartMs: 1_000 }));
    const [one, ...rest] = partsOf(request(tasks));
    const late = rest.map((event) => ({ ...event, at: iso(30_000) }));
    expect(next(fold(initial, [one!, ...late]), T0 + 30_000)).toMatchObject({ advance: false, wakeAt: T0 + 31_000, start: tasks.map(({ id }) => id) });
  });
});

it('a request in one part sends the execution on its way at once', () => {
  given(at(0, request([task('a')]), 'key')).when(start('a')).decidesTypes('ExecutionStarted', 'TaskStarted');
});
