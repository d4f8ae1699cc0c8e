import fc from 'fast-check';
import type { Event } from '#libs/contracts';
import { type Succession, decide, fold, inParts, initial, isTerminal, next, successorOf } from '#libs/execution';
import { World, cancel, generatedLogs, request, start, startEach, succeed, task } from '#libs/testing';
import { Model } from './model.js';

/** Drives it to its end; what is picked fails. */
const driven = (events: readonly Event[], how: Succession, fails: (n: number) => boolean): World => {
  const world = new World();
  world.now = fold(initial, events).at;
  world.tell(successorOf({ execution: 'first', sequence: 7, events }, how));
  let n = 0;
  for (let round = 0; round < 200 && !isTerminal(world.state.status); round++) {
    const due = next(world.state, world.now);
    if (due.advance) world.tell({ type: 'Advance' });
    for (const taskId of due.start) world.tell({ type: 'StartTask', taskId, executor: 'one', items: ['x', 'y'] });
    for (const taskId of due.decide) world.tell({ type: 'DecideLoop', taskId, isOver: true });
    for (const { taskId, attempt } of world.attempts()) {
      const error = { code: 'BROKEN', message: 'it broke', retryable: false };
      world.tell({ type: 'RecordOutcome', taskId, attempt, outcome: fails(n++) ? { ok: false, error } : { ok: true, result: {} } });
    }
    world.approveAll();
    for (const { taskId, attempt } of world.eventWaits()) world.tell({ type: 'RecordEvent', taskId, attempt, event: {} });
    for (const { name } of world.state.listeners) world.tell({ type: 'SendSignal', name, payload: {} });
    if (!due.advance && due.start.length === 0 && due.wakeAt !== undefined) world.now = Math.max(world.now, due.wakeAt);
  }
  return world;
};

it('what carries on an execution follows the rules as the model tells them', () => {
  fc.assert(
    fc.property(generatedLogs, fc.constantFrom<Succession>({ kind: 'retry' }, { kind: 'fork' }), fc.nat(3), (log, how, which) => {
      const events = log.flat();
      const { status } = fold(initial, events);
      if (how.kind === 'retry' && (!isTerminal(status) || status === 'completed')) return;
      const model = new Model();
      const world = driven(events, how, (n) => n % 4 === which);
      for (const event of world.log.flat()) model.take(event);
      // Of what these plans hold beyond those of the simulation it knows no better.
      expect(model.complaints.filter((complaint) => / starts | is carried over /.test(complaint))).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

it('what was carried over is undone as the model tells it', () => {
  const first = new World();
  const tasks = [task('a'), task('b', { dependsOn: ['a'] }), task('c', { dependsOn: ['b'] }), task('undo-a', { compensates: 'a' }), task('undo-b', { compensates: 'b' })];
  for (const command of [request(tasks), start('a'), succeed('a'), start('b'), succeed('b'), cancel('immediate')]) first.tell(command);
  const model = new Model();
  const { log } = driven(first.log.flat(), { kind: 'retry' }, (n) => n === 0);
  for (const event of log.flat()) model.take(event);
  expect(model.complaints).toEqual([]);
  expect(log.flat().flatMap(({ type, data }) => (type === 'TaskStarted' ? [data.taskId] : []))).toEqual(['c', 'undo-b', 'undo-a']);
});

it('a fan-out of which items are carried over begins with the request, as the model tells it', () => {
  const first = new World();
  const tasks = [task('a', { forEach: { items: ['x', 'y'] } })];
  for (const command of [request(tasks), startEach('a', ['x', 'y']), start('a--0'), succeed('a--0'), cancel('immediate')]) first.tell(command);
  const model = new Model();
  const { log } = driven(first.log.flat(), { kind: 'retry' }, () => false);
  for (const event of log.flat()) model.take(event);
  expect(model.complaints).toEqual([]);
  expect(log[0]?.map(({ type }) => type)).toEqual(['ExecutionRequested', 'TaskStarted', 'TaskExpanded', 'TaskCarriedOver']);
});

it.each<[string, Succession]>([
  ['a fork leaves to its origin', { kind: 'fork' }],
  ['a retry takes over', { kind: 'retry' }],
])('what %s is counted among the parts of a request, as the model tells it', (_what, how) => {
  const first = new World();
  const bulk = { input: { bulk: 'x'.repeat(120_000) } };
  const tasks = [task('a', bulk), task('b', { ...bulk, forEach: { items: ['x', 'y'] } }), task('undo-a', { ...bulk, compensates: 'a' })];
  for (const command of [request(tasks), start('a'), succeed('a'), startEach('b', ['x', 'y']), start('b--0'), succeed('b--0'), cancel('immediate')]) first.tell(command);
  const origin = { execution: 'first', sequence: 7, events: first.log.flat() };
  const parts = inParts(decide(successorOf(origin, how), initial, { now: first.now, cause: 'again', actor: 'client', correlationId: 'again' }));
  const model = new Model();
  for (const event of parts) model.take(event);
  expect(parts.length).toBeGreaterThan(3);
  expect([model.missing, model.complaints]).toEqual([0, []]);
});
