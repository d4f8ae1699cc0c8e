import fc from 'fast-check';
import type { Event, PlanTask } from '#libs/contracts';
import { generatedLogs } from '#libs/testing';
import { type TaskState, fold, initial, next } from './index.js';
import { isActionable, isOrphan } from './task-state.js';
import { TaskTable } from './task-table.js';

const event = (type: string, data: object): Event =>
  ({ type, data, at: '2026-01-01T00:00:00.000Z', cause: 'c', actor: 'a', correlationId: 'k' }) as unknown as Event;

const requested = (tasks: readonly PlanTask[]): Event =>
  event('ExecutionRequested', { plan: { name: 'p', tasks }, name: 'p', labels: {}, input: {}, dialect: 'canonical' });

const tasksOf = (count: number): TaskState[] =>
  [...fold(initial, [requested(Array.from({ length: count }, (_, i) => ({ id: `t${i}`, runner: 'noop', input: {}, dependsOn: [] })))]).tasks.values()];

it('answers as a map does that is copied for every change, and no table changes after it was made', () => {
  const changes = fc.array(
    fc.array(fc.record({ at: fc.nat(200), attempt: fc.nat(9), status: fc.constantFrom('pending' as const, 'running' as const, 'failed' as const) }), { maxLength: 5 }),
    { maxLength: 20 },
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200 }), changes, (count, rounds) => {
      const tasks = tasksOf(count);
      let table = TaskTable.of(tasks);
      let model = new Map(tasks.map((task) => [task.id, task]));
      const made: [TaskTable, typeof model][] = [[table, model]];
      for (const round of rounds) {
        const changed = round.map(({ at, ...more }): TaskState => ({ ...tasks[0]!, id: `t${at}`, ...more }));
        table = table.with(changed);
        model = new Map(model);
        for (const task of changed) if (model.has(task.id)) model.set(task.id, task);
        made.push([table, model]);
      }
      for (const [is, expected] of made) {
        const all = [...expected.values()];
        expect([...is.values()]).toEqual(all);
        expect([...is.actionable()]).toEqual(all.filter(isActionable));
        expect(['t0', `t${count - 1}`, `t${count}`].map((id) => [is.has(id), is.get(id)])).toEqual(
          ['t0', `t${count - 1}`, `t${count}`].map((id) => [expected.has(id), expected.get(id)]),
        );
      }
    }),
  );
});

it('grows behind its end, by any number of tasks at a time, and what was made of it before stays as it was', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(150), { maxLength: 12 }), (sizes) => {
      const tasks = tasksOf(Math.max(1, sizes.reduce((sum, size) => sum + size, 0)));
      let table = TaskTable.of([]);
      const made: [TaskTable, number][] = [[table, 0]];
      for (const size of sizes) {
        table = table.plus(tasks.slice(table.size, table.size + size));
        made.push([table, table.size]);
      }
      for (const [is, size] of made) {
        expect([...is.values()]).toEqual(tasks.slice(0, size));
        expect([...is.actionable()]).toEqual(tasks.slice(0, size).filter(isActionable));
        expect([is.get('t0'), is.has(`t${size - 1}`), is.has(`t${size}`)]).toEqual([size > 0 ? tasks[0] : undefined, size > 0, false]);
      }
    }),
  );
});

it('leaves nothing out that is to be done: whoever looks at the actionable tasks alone sees as much', () => {
  fc.assert(
    fc.property(generatedLogs, (log) => {
      let state = initial;
      for (const commit of log) {
        state = fold(state, commit);
        const tasks = [...state.tasks.values()];
        expect(state.orphans).toBe(tasks.filter(isOrphan).length);
        const named = new Set([...state.tasks.actionable()].map(({ id }) => id));
        for (const task of tasks) if (task.status === 'running' || task.retryAt !== undefined) expect(named).toContain(task.id);
        for (const id of next(state, state.at).start) expect(named).toContain(id);
      }
    }),
    { numRuns: 300 },
  );
});

it('makes a long history of a big plan cheap to fold commit by commit', () => {
  const ids = Array.from({ length: 10_000 }, (_, i) => `t${i}`);
  const commits = [
    requested(ids.map((id) => ({ id, runner: 'noop', input: {}, dependsOn: [] }))),
    ...ids.flatMap((taskId) => [
      event('TaskStarted', { taskId, attempt: 1, executor: 'e' }),
      event('TaskCompleted', { taskId, attempt: 1, result: {} }),
    ]),
  ];
  const before = process.cpuUsage();
  const { open, events } = commits.reduce((state, commit) => fold(state, [commit]), initial);
  const { user, system } = process.cpuUsage(before);
  expect([open, events]).toEqual([0, 20_001]);
  // About 0.2 s; with the tasks copied for every commit it is a hundred times that.
  expect((user + system) / 1e6).toBeLessThan(4);
});
