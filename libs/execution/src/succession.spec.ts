import fc from 'fast-check';
import type { Event, Fact } from '#libs/contracts';
import { type Step, T0, World, advance, cancel, fail, generatedLogs, lose, over, pause, request, signal, start, startEach, succeed, task } from '#libs/testing';
import { type State, decide, fold, illegality, inParts, initial, isTerminal, next } from './index.js';
import { type Succession, successorOf } from './succession.js';

/** What has happened, each step having changed something. */
const history = (...steps: readonly Step[]): readonly Event[] => {
  const events: Event[] = [];
  let state = initial;
  steps.forEach((step, index) => {
    const decided = decide(step, state, { now: T0 + (step.at ?? index), cause: `command-${index}`, actor: 'ada', correlationId: 'c' });
    expect([step.type, decided.length > 0]).toEqual([step.type, true]);
    events.push(...decided);
    state = fold(state, decided);
  });
  return events;
};

const succeeding = (events: readonly Event[], how: Succession, execution = 'first'): ReturnType<typeof successorOf> =>
  successorOf({ execution, sequence: 7, events }, how);

const carriedBy = (events: readonly Event[], how: Succession): readonly Fact[] => succeeding(events, how).carried ?? [];

/** Ids of what is carried over, in order. */
const carried = (events: readonly Event[], how: Succession): readonly string[] =>
  carriedBy(events, how).flatMap(({ type, data }) => (type === 'TaskCarriedOver' ? [data.taskId] : []));

/** The log of the execution that carries it on, as far as it goes by itself. */
const successor = (events: readonly Event[], how: Succession, execution = 'first'): readonly Event[] =>
  history({ ...succeeding(events, how, execution), at: 1_000 });

const startable = (events: readonly Event[]): readonly string[] => next(fold(initial, events), T0 + 2_000).start;

const retry: Succession = { kind: 'retry' };
const fork: Succession = { kind: 'fork' };
const from = (name: string): Succession => ({ kind: 'rerun', task: name });

/** a, b after a, c after b; x beside them. */
const plan = request([task('a'), task('b', { dependsOn: ['a'] }), task('c', { dependsOn: ['b'] }), task('x')]);
const half = [plan, start('a'), start('x'), succeed('a', 1, { n: 1 }), start('b')] as const;
const failed = history(...half, fail('b'), succeed('x'));
const completed = history(...half, succeed('b'), succeed('x'), start('c'), succeed('c'));

describe('a retry', () => {
  it('carries over what ended well, and goes on with what did not', () => {
    expect(carriedBy(failed, retry)).toEqual([
      { type: 'TaskCarriedOver', data: { taskId: 'a', status: 'completed', from: 'first', attempt: 1, result: { n: 1 } } },
      { type: 'TaskCarriedOver', data: { taskId: 'x', status: 'completed', from: 'first', attempt: 1, result: {} } },
    ]);
    expect(startable(successor(failed, retry))).toEqual(['b']);
  });

  it('names its origin, and is otherwise what was asked for first', () => {
    const [requested] = successor(failed, retry);
    expect(requested).toMatchObject({
      type: 'ExecutionRequested',
      data: { name: 'plan', labels: {}, input: {}, dialect: 'canonical', plan: { tasks: [{}, {}, {}, {}] }, origin: { execution: 'first', kind: 'retry', sequence: 7 } },
    });
  });

  it('is refused while the execution has not ended, and when it completed', () => {
    expect(() => successor(history(...half), retry)).toThrow(expect.objectContaining({ code: 'EXECUTION_NOT_ENDED' }) as Error);
    expect(() => successor(history(plan, pause), retry)).toThrow(expect.objectContaining({ code: 'EXECUTION_NOT_ENDED' }) as Error);
    expect(() => successor(completed, retry)).toThrow(expect.objectContaining({ code: 'NOTHING_TO_RETRY' }) as Error);
    expect(() => successor([], retry)).toThrow(expect.objectContaining({ code: 'EXECUTION_NOT_FOUND' }) as Error);
  });

  it('of a cancelled execution runs anew what was ended or skipped', () => {
    const cancelled = history(...half, succeed('x'), cancel('immediate'), fail('b'));
    expect(carried(cancelled, retry)).toEqual(['a', 'x']);
    expect(startable(successor(cancelled, retry))).toEqual(['b']);
  });

  it('runs a lost attempt anew, and counts attempts from the first', () => {
    const lost = history(request([task('a', { onLost: 'fail' })]), start('a'), lose('a'));
    const again = history({ ...succeeding(lost, retry) }, start('a'));
    expect(again.at(-1)).toMatchObject({ type: 'TaskStarted', data: { attempt: 1 } });
  });

  it('carries over what the plan passes over: a failure to continue from, a condition that was false', () => {
    const tolerant = request([task('a', { onFailure: 'continue' }), task('b', { when: 'false' }), task('c', { dependsOn: ['a', 'b'] })]);
    const events = history(tolerant, start('a'), fail('a', 1, false), { type: 'SkipTask', taskId: 'b' }, start('c'), fail('c', 1, false));
    expect(carriedBy(events, retry)).toMatchObject([
      { data: { taskId: 'a', status: 'failed', error: { code: 'BROKEN' } } },
      { data: { taskId: 'b', status: 'skipped', why: 'its condition is false: false' } },
    ]);
    expect(startable(successor(events, retry))).toEqual(['c']);
  });

  it('of a retry says of each task where it really ran', () => {
    const second = history({ ...succeeding(failed, retry), at: 0 }, start('b'), succeed('b'), start('c'), fail('c'));
    expect(successorOf({ execution: 'second', sequence: 9, events: second }, retry).carried).toMatchObject([
      { data: { taskId: 'a', from: 'first' } },
      { data: { taskId: 'x', from: 'first' } },
      { data: { taskId: 'b', from: 'second' } },
    ]);
  });

  it('has ended at once where nothing is left to do', () => {
    const late = history(request([task('a')]), start('a'), cancel('graceful'), succeed('a'));
    expect(successor(late, retry).map(({ type }) => type)).toEqual(['ExecutionRequested', 'TaskCarriedOver', 'ExecutionCompleted']);
  });

  it('does not carry over signals that nobody took', () => {
    const waiting = request([task('a', { runner: 'signal', input: { name: 'go' } }), task('b', { dependsOn: ['a'] })]);
    const events = history(waiting, start('a'), signal('go'), signal('go'), start('b'), fail('b'));
    expect(carried(events, retry)).toEqual(['a']);
    expect(fold(initial, successor(events, retry)).signals).toEqual([]);
  });
});

describe('a rerun', () => {
  it('from a task runs it anew, and all that depends on it', () => {
    expect(carried(completed, from('b'))).toEqual(['a', 'x']);
    expect(startable(successor(completed, from('b')))).toEqual(['b']);
    expect(carried(completed, from('c'))).toEqual(['a', 'b', 'x']);
  });

  it('also runs what never ended well', () => {
    expect(carried(failed, from('x'))).toEqual(['a']);
    expect(startable(successor(failed, from('x')))).toEqual(['b', 'x']);
  });

  it('of what was done for each item carries over all of it, or none', () => {
    const each = request([task('a', { forEach: { items: [] } }), task('b', { dependsOn: ['a'] })]);
    const done = history(each, startEach('a', [1, 2]), start('a--0'), start('a--1'), succeed('a--0'), succeed('a--1'), start('b'), fail('b'));
    expect(carriedBy(done, retry)).toMatchObject([{ data: { taskId: 'a', result: { count: 2, results: [{}, {}] } } }]);
    expect(startable(successor(done, from('a')))).toEqual(['a']);
    expect(() => successor(done, from('a--0'))).toThrow("task 'a--0' is a part of 'a'; name that");
  });

  it('is refused from a task that the plan does not have, or that only undoes, and before the end', () => {
    expect(() => successor(completed, from('nobody'))).toThrow(expect.objectContaining({ code: 'TASK_NOT_FOUND' }) as Error);
    expect(() => successor(history(...half), from('a'))).toThrow(expect.objectContaining({ code: 'EXECUTION_NOT_ENDED' }) as Error);
    const undoing = history(request([task('a'), task('u', { compensates: 'a' })]), start('a'), succeed('a'));
    expect(() => successor(undoing, from('u'))).toThrow(expect.objectContaining({ code: 'TASK_NOT_FOUND' }) as Error);
  });
});

describe('a fork', () => {
  it('of an execution under way takes what had ended well by then, and may have another input and other labels', () => {
    const forked = succeeding(history(...half), { kind: 'fork', input: { n: 2 }, labels: { team: 'red' } });
    expect(forked).toMatchObject({ input: { n: 2 }, labels: { team: 'red' }, origin: { kind: 'fork', sequence: 7 } });
    expect(startable(successor(history(...half), fork))).toEqual(['b', 'x']);
  });
});

describe('what can be undone', () => {
  const undoable = request([task('a'), task('b'), task('c', { dependsOn: ['a', 'b'] }), task('undo-a', { compensates: 'a' }), task('undo-b', { compensates: 'b' })]);
  const done = [undoable, start('b'), succeed('b'), start('a'), succeed('a'), start('c')] as const;
  const undone = [start('undo-a'), succeed('undo-a'), start('undo-b'), fail('undo-b')] as const;

  it('runs anew once its compensation was begun, however that ended, with what depends on it', () => {
    expect(carried(history(...done, fail('c'), ...undone), retry)).toEqual([]);
  });

  it('is undone where the retry fails, the last that was done first, in whichever execution', () => {
    const cancelled = history(...done, cancel('immediate'), fail('c'));
    expect(carried(cancelled, retry)).toEqual(['b', 'a']);
    const again = history(succeeding(cancelled, retry), start('c'), fail('c'));
    expect(startable(again)).toEqual(['undo-a']);
  });

  it('stays where a fork fails, and where a retry of the fork does: it is left to who did it', () => {
    const forked = history(succeeding(history(...done), fork), start('c'), fail('c'));
    expect(forked.filter(({ type }) => type === 'TaskSkipped')).toMatchObject([{ data: { taskId: 'undo-b', kind: 'origin' } }, { data: { taskId: 'undo-a', kind: 'origin' } }]);
    expect(fold(initial, forked).status).toBe('failed');
    const again = history(successorOf({ execution: 'fork', sequence: 9, events: forked }, retry), start('c'), fail('c'));
    expect(fold(initial, again).status).toBe('failed');
    expect(again.some(({ type, data }) => type === 'TaskStarted' && data.taskId.startsWith('undo'))).toBe(false);
  });
});

describe('whatever has happened', () => {
  const isPossible = ({ status, tasks }: State, how: Succession): boolean => {
    if (how.kind === 'fork') return true;
    return isTerminal(status) && (how.kind === 'retry' ? status !== 'completed' : tasks.has(how.task));
  };
  const ways: fc.Arbitrary<Succession> = fc.constantFrom(retry, fork, fork, fork, ...['a', 'b', 'c', 'd'].map(from));

  it('what is carried over ended well and depends on nothing that is not', () => {
    let count = 0;
    fc.assert(
      fc.property(generatedLogs, ways, (log, how) => {
        for (let length = 1; length <= log.length; length++) {
          const events = log.slice(0, length).flat();
          const before = fold(initial, events);
          if (!isPossible(before, how)) continue;
          const ids = new Set(carried(events, how));
          for (const id of ids) {
            const { status, passedOver } = before.tasks.get(id) ?? {};
            const { onFailure, dependsOn, compensates } = before.graph.task.get(id) ?? {};
            expect(status === 'completed' || passedOver === true || onFailure === 'continue').toBe(true);
            expect(dependsOn?.every((name) => ids.has(name))).toBe(true);
            expect(compensates).toBe(undefined);
            if (how.kind === 'rerun') expect(id).not.toBe(how.task);
          }
          count += ids.size;
        }
      }),
      { numRuns: 600 },
    );
    expect(count).toBeGreaterThan(10);
  });

  it('its successor is legal, and driven to an end', () => {
    fc.assert(
      fc.property(generatedLogs, ways, (log, how) => {
        const events = log.flat();
        const before = fold(initial, events);
        if (!isPossible(before, how)) return;
        const world = new World();
        world.now = before.at;
        world.tell(succeeding(events, how));
        for (let round = 0; round < 200 && !isTerminal(world.state.status); round++) {
          const due = next(world.state, world.now);
          if (due.advance) world.tell(advance);
          for (const taskId of due.decide) world.tell(over(taskId));
          for (const taskId of due.start) world.start(taskId, 'one', 2);
          for (const { taskId, attempt } of world.attempts()) world.tell(succeed(taskId, attempt));
          world.approveAll();
          for (const { taskId, attempt } of world.subExecutions()) world.tell({ type: 'RecordChildEnd', taskId, attempt, end: { status: 'completed', result: {} } });
          for (const { taskId, attempt } of world.eventWaits()) world.tell({ type: 'RecordEvent', taskId, attempt, event: {} });
          for (const { name } of world.state.listeners) world.tell(signal(name));
          if (!due.advance && due.decide.length === 0 && due.start.length === 0 && due.wakeAt !== undefined) world.now = Math.max(world.now, due.wakeAt);
        }
        expect(isTerminal(world.state.status)).toBe(true);
        fold(initial, world.log.flat(), (state, event) => expect([event.type, illegality(state, event)]).toEqual([event.type, undefined]));
      }),
      { numRuns: 500 },
    );
  });
});


describe('what is done for each item of a list', () => {
  const people = ['ada', 'grace', 'barbara', 'radia'];
  const mailing = (concurrency?: number) =>
    request([task('list'), task('mail', { dependsOn: ['list'], forEach: { items: '{{ tasks.list.result.people }}', ...(concurrency !== undefined && { concurrency }) } }), task('report', { dependsOn: ['mail'] })]);
  const begun = (concurrency?: number) => [mailing(concurrency), start('list'), succeed('list'), startEach('mail', people)];
  const partly = history(
    ...begun(),
    ...['mail--0', 'mail--1', 'mail--2', 'mail--3'].map((id) => start(id)),
    succeed('mail--3', 1, { n: 3 }),
    fail('mail--1'),
    succeed('mail--0', 1, { n: 0 }),
    fail('mail--2'),
  );

  it('is begun again by a retry, without the items that are done', () => {
    expect(carried(partly, retry)).toEqual(['list', 'mail--0', 'mail--3']);
    const events = successor(partly, retry);
    expect(events.map(({ type }) => type)).toEqual(['ExecutionRequested', 'TaskCarriedOver', 'TaskStarted', 'TaskExpanded', 'TaskCarriedOver', 'TaskCarriedOver']);
    expect(startable(events)).toEqual(['mail--1', 'mail--2']);
    const ended = history({ ...succeeding(partly, retry), at: 0 }, start('mail--1'), succeed('mail--1'), start('mail--2'), succeed('mail--2'));
    expect(fold(initial, ended).tasks.get('mail')?.result).toEqual({ count: 4, results: [{ n: 0 }, {}, {}, { n: 3 }] });
    expect(startable(ended)).toEqual(['report']);
  });

  it('still has only so many under way at once as the plan wants, whichever are done', () => {
    // The last one first: what was carried over never waited for its turn.
    for (const done of [[3], [1], [0, 2], [1, 2, 3], [0, 3]]) {
      const starts = [...done, ...[0, 1, 2, 3].filter((n) => !done.includes(n))].map((n) => `mail--${n}`);
      const wide = history(...begun(), ...starts.map((id) => start(id)), ...done.map((n) => succeed(`mail--${n}`)), cancel('immediate'), ...starts.slice(done.length).map((id) => fail(id)));
      for (const limit of [1, 2]) {
        const limited = wide.map((event) => (event.type === 'ExecutionRequested' ? { ...event, data: { ...event.data, plan: (mailing(limit) as { plan: typeof event.data.plan }).plan } } : event));
        const steps: Step[] = [{ ...succeeding(limited, retry), at: 0 }];
        for (let round = 0; round < 4 - done.length; round++) {
          const due = next(fold(initial, history(...steps)), T0 + 1_000).start;
          expect([done, limit, due.length]).toEqual([done, limit, Math.min(limit, 4 - done.length - round)]);
          steps.push(start(due[0]!), succeed(due[0]!));
        }
        expect(startable(history(...steps))).toEqual(['report']);
      }
    }
  });

  it('has ended at once where all items are done', () => {
    const late = history(...begun(), ...people.map((_, n) => start(`mail--${n}`)), ...people.slice(1).map((_, n) => succeed(`mail--${n}`)), cancel('graceful'), succeed('mail--3'));
    expect(startable(successor(late, retry))).toEqual(['report']);
  });

  it('is all done anew by a rerun from it or from what it depends on, and by a fork with another input', () => {
    for (const how of [from('mail'), from('list'), { kind: 'fork', input: {} } as const]) expect(carried(partly, how).filter((id) => id.startsWith('mail'))).toEqual([]);
    expect(carried(partly, fork)).toContain('mail--0');
    expect(carried(partly, from('report'))).toContain('mail--0');
  });

  it('keeps what is done of it, however much that is: a request tells it in as many commits as it takes', () => {
    const many = Array.from({ length: 1_000 }, (_, n) => n);
    const large = history(...begun().slice(0, 3), startEach('mail', many), start('mail--0'), fail('mail--0'), ...many.slice(1).flatMap((n) => [start(`mail--${n}`), succeed(`mail--${n}`, 1, { text: 'x'.repeat(400) })]));
    const parts = inParts(successor(large, retry));
    expect(parts[0]?.data).toMatchObject({ following: 1_002 });
    fold(initial, parts, (state, event) => expect([event.type, illegality(state, event)]).toEqual([event.type, undefined]));
    expect(startable(parts)).toEqual(['mail--0']);
    for (const told of [2, 3, 4, 500, 1_002]) {
      const part = fold(initial, parts.slice(0, told));
      expect(next(part, T0 + 2_000)).toMatchObject({ start: [], advance: false });
      const rest = inParts(decide(succeeding(large, retry), part, { now: T0 + 2_000, cause: 'command-0', actor: 'ada', correlationId: 'c' }));
      expect(rest.map(({ type, data }) => [type, data])).toEqual(parts.slice(told).map(({ type, data }) => [type, data]));
    }
  });

  it('may be paused and cancelled before all that is taken over of it is told', () => {
    const parts = successor(partly, retry).slice(0, -1).map((event) => (event.type === 'ExecutionRequested' ? { ...event, data: { ...event.data, following: 5 } } : event));
    for (const steps of [[pause, cancel('graceful')], [cancel('immediate')]] as const) {
      let state = fold(initial, parts);
      for (const step of steps) state = fold(state, decide(step, state, { now: T0 + 2_000, cause: step.type, actor: 'ada', correlationId: 'c' }));
      expect([state.status, state.open]).toEqual(['cancelled', 0]);
    }
  });

  const undoable = request([task('mail', { forEach: { items: '{{ input.people }}' } }), task('report', { dependsOn: ['mail'] }), task('recall', { compensates: 'mail' })]);

  it('is all done anew once its compensation was begun: what is undone is not done', () => {
    const mailed = people.flatMap((_, n) => [start(`mail--${n}`), succeed(`mail--${n}`)]);
    const recalled = history(undoable, startEach('mail', people), ...mailed, start('report'), fail('report'), start('recall'), succeed('recall'));
    expect(carried(recalled, retry)).toEqual([]);
    expect(startable(successor(recalled, retry))).toEqual(['mail']);
  });

  it('is all done anew by a fork where something undoes it: that would undo what its origin has done and keeps', () => {
    const half = history(undoable, startEach('mail', people), start('mail--0'), succeed('mail--0'));
    expect(carried(half, fork)).toEqual([]);
    expect(startable(successor(half, fork))).toEqual(['mail']);
    const ended = history(undoable, startEach('mail', people), start('mail--0'), succeed('mail--0'), cancel('immediate'));
    expect(carried(ended, retry)).toEqual(['mail--0']);
  });
});
