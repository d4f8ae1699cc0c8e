import type { ExecutionRef } from '#libs/contracts';
import { type Command, decide, inParts, initial } from '#libs/execution';
import { type Execution, MemoryLog, append, unborn } from '#libs/ledger';
import { T0, again, approve, at, by, cancel, delegate, fail, iso, pause, request, resume, signal, start, startEach, succeed, task, type Step } from '#libs/testing';
import type { Wait } from './wait.js';
import { type Why, whyOf } from './why.js';

const ref: ExecutionRef = { tenant: 't', execution: 'x' };
const call = (verb: string): object => ({ kind: 'client', name: `POST /api/v1/executions/x/${verb}` });
const ofTask = (name: string): object => ({ kind: 'task', name });
const time = (ms: number): object => ({ kind: 'time', name: iso(ms) });

/** Why, after these steps and at a time (milliseconds after T0); each step is a commit, sequences count from 1. */
const after = async (steps: readonly Step[], now: number, alive?: readonly string[]): Promise<Why> => {
  const log = new MemoryLog();
  let execution: Execution = unborn(ref);
  for (const [index, { at: ms = 0, cause = `c${index}`, actor = 'test', ...command }] of steps.entries()) {
    const events = decide(command as Command, execution.state, { now: T0 + ms, cause, actor, correlationId: 'c' });
    const appended = await append(log, execution, events);
    if (!appended) throw new Error('nobody else writes here');
    execution = appended;
  }
  return whyOf('x', await log.history(ref), execution.state, T0 + now, alive && new Set(alive));
};

const waitsOf = async (...given: Parameters<typeof after>): Promise<readonly Wait[]> => (await after(given[0], given[1], given[2])).waitsFor;

describe('why an execution does not go on', () => {
  it('a task that is due waits for an executor, and says so when none is alive', async () => {
    const [wait] = await waitsOf([request([task('a')])], 0, ['e1', 'e2']);
    expect(wait).toMatchObject({ kind: 'executor', task: 'a', since: { time: iso(0), sequence: 1 }, until: null });
    const [alone] = await waitsOf([request([task('a')])], 0, []);
    expect(alone?.text).toContain('no executor is alive');
  });

  it('a task is due since the last thing it waited for', async () => {
    const waits = await waitsOf([request([task('a'), task('b', { dependsOn: ['a'] })]), at(10, start('a')), at(20, succeed('a'))], 30);
    expect(waits).toMatchObject([{ kind: 'executor', task: 'b', since: { time: iso(20), sequence: 3 } }]);
    const chain = request([task('a')]);
    expect(await waitsOf([chain, at(5, pause), at(9, resume)], 30)).toMatchObject([{ task: 'a', since: { time: iso(9), sequence: 3 } }]);
  });

  it('a task that is done for each item waits for those that have not ended, and says how many wait for their turn', async () => {
    const mail = request([task('mail', { forEach: { items: [], concurrency: 2 } })]);
    const waits = await waitsOf([mail, at(10, startEach('mail', [0, 1, 2, 3])), at(20, start('mail--1')), at(30, succeed('mail--1'))], 40, ['one']);
    expect(waits).toMatchObject([
      { kind: 'executor', task: 'mail--0', since: { time: iso(10), sequence: 2 } },
      { kind: 'executor', task: 'mail--2' },
      { kind: 'tasks', task: 'mail', since: { time: iso(10), sequence: 2 }, endedBy: [ofTask('mail--0'), ofTask('mail--2')], text: '3 of 4 items have not ended, 1 of them waits for its turn' },
    ]);
  });

  it('a loop waits for its iteration, for the time between two, or for who says that it is over', async () => {
    const poll = request([task('poll', { loop: { until: 'result.ready', maxIterations: 5, delayMs: 100 } })]);
    const once = [poll, at(10, start('poll')), at(20, start('poll--0'))] as const;
    expect(await waitsOf([...once], 40, ['one'])).toMatchObject([{ kind: 'attempt', task: 'poll--0' }, { kind: 'tasks', text: 'iteration 0 of at most 5 has not ended', endedBy: [ofTask('poll--0')] }]);
    const ended = [...once, at(30, succeed('poll--0'))];
    expect(await waitsOf(ended, 40, ['one'])).toMatchObject([{ kind: 'executor', task: 'poll', text: 'iteration 0 has ended; an executor decides whether another one follows' }]);
    expect(await waitsOf([...ended, at(50, pause)], 60, ['one'])).toMatchObject([{ kind: 'resume' }, { kind: 'executor', task: 'poll' }]);
    expect(await waitsOf([...ended, at(50, pause), at(60, again('poll'))], 70, ['one'])).toMatchObject([{ kind: 'resume' }]);
    const between = await waitsOf([...ended, at(50, again('poll'))], 60, ['one']);
    expect(between).toMatchObject([{ kind: 'retry', task: 'poll--1', since: { time: iso(50), sequence: 5 }, until: iso(150) }, { kind: 'tasks', task: 'poll' }]);
  });

  it('a request of which only a part has come waits for the rest, and says how long', async () => {
    const tasks = Array.from({ length: 9 }, (_, i) => task(`t${i}`, { input: { pad: 'x'.repeat(50_000) } }));
    const [first, second] = inParts(decide(request(tasks), initial, { now: T0, cause: 'c', actor: 'test', correlationId: 'c' }));
    const log = new MemoryLog();
    const one = (await append(log, unborn(ref), [first!]))!;
    const { state } = (await append(log, one, [{ ...second!, at: iso(20) }]))!;
    const why = async (ms: number, alive: readonly string[]): Promise<Why> => whyOf('x', await log.history(ref), state, T0 + ms, new Set(alive));
    const { status, waitsFor, total } = await why(30, ['e1']);
    expect({ status, total }).toEqual({ status: 'pending', total: 1 });
    expect(waitsFor).toMatchObject([{ kind: 'request', task: null, since: { time: iso(20), sequence: 2 }, until: iso(60_020) }]);
    expect(waitsFor[0]?.endedBy).toEqual([{ kind: 'client', name: 'POST /api/v1/executions' }, time(60_020)]);
    expect(waitsFor[0]?.text).toContain('6 tasks of its plan are there, more have to come in 1 further events');
    expect((await why(70_000, []))?.waitsFor[0]?.text).toContain('is given up; no executor is alive: start one');
  });

  it('a running attempt is named with its executor and its deadline', async () => {
    const [wait] = await waitsOf([request([task('a', { timeoutMs: 500 })]), at(10, start('a', 'e1'))], 20);
    expect(wait).toMatchObject({ kind: 'attempt', task: 'a', since: { time: iso(10), sequence: 2 }, until: iso(510) });
    expect(wait?.endedBy).toEqual([{ kind: 'executor', name: 'e1' }, time(510), call('cancel')]);
    const [unbounded] = await waitsOf([request([task('a')]), start('a', 'e1')], 20);
    expect(unbounded).toMatchObject({ until: null, endedBy: [{ kind: 'executor', name: 'e1' }, call('cancel')] });
    expect(unbounded?.text).toContain('without a time limit');
  });

  it('an attempt whose executor is gone waits for another one, and says so when there is none', async () => {
    const steps = [request([task('a')]), start('a', 'e1')];
    expect((await waitsOf(steps, 20, ['e1', 'e2']))[0]?.text).toContain('runs on executor e1');
    const [taken] = await waitsOf(steps, 20, ['e2']);
    expect(taken).toMatchObject({ kind: 'attempt', endedBy: [{ kind: 'executor', name: 'any' }] });
    expect(taken?.text).toContain('ran on executor e1, which is gone; another one takes over');
    const [alone] = await waitsOf(steps, 20, []);
    expect(alone?.text).toContain('ran on executor e1, which is gone; no executor is alive: start one');
  });

  it('a timer or a retry goes off only where an executor is alive', async () => {
    const steps = [request([task('a', { runner: 'wait', input: { durationMs: 1_000 } })]), start('a')];
    expect((await waitsOf(steps, 500, []))[0]?.text).toContain('no executor is alive');
    const [due] = await waitsOf(steps, 1_500, ['e1']);
    expect(due).toMatchObject({ kind: 'timer', until: iso(1_000), endedBy: [{ kind: 'executor', name: 'any' }, call('cancel')] });
    expect(due?.text).toBe(`waited until ${iso(1_000)}; an executor ends it`);
    expect((await waitsOf(steps, 1_500, []))[0]?.text).toBe(`waited until ${iso(1_000)}; no executor is alive: start one`);
    const failed = [request([task('a', { retry: { maxAttempts: 2, delayMs: 100 } })]), start('a'), fail('a')];
    expect((await waitsOf(failed, 50, []))[0]?.text).toContain('no executor is alive');
  });

  it('a wait ends by the clock or with the execution', async () => {
    const waiting = request([task('a', { runner: 'wait', input: { durationMs: 1_000 } })]);
    const [wait] = await waitsOf([waiting, at(10, start('a'))], 20);
    expect(wait).toMatchObject({ kind: 'timer', task: 'a', since: { sequence: 2 }, until: iso(1_010), endedBy: [time(1_010), call('cancel')] });
  });

  it('a wait for a signal ends with the call that sends it, by its deadline or with the execution', async () => {
    const listening = (more = {}): Step[] => [request([task('a', { runner: 'signal', input: { name: 'go' }, ...more })]), signal('stop'), at(10, start('a'))];
    const [wait] = await waitsOf(listening({ timeoutMs: 500 }), 20, []);
    expect(wait).toMatchObject({ kind: 'signal', task: 'a', since: { time: iso(10), sequence: 3 }, until: iso(510) });
    expect(wait?.endedBy).toEqual([call('signals/go'), time(510), call('cancel')]);
    expect((await waitsOf(listening(), 20))[0]).toMatchObject({ until: null, text: "waits for signal 'go', without a time limit", endedBy: [call('signals/go'), call('cancel')] });
  });

  it('an approval names what is asked, who may answer, and what follows when nobody does', async () => {
    const asking = (input: object, more = {}): Step[] => [request([task('a', { runner: 'approval', input: { title: 'Go?', ...input }, ...more })]), at(10, start('a'))];
    const [open] = await waitsOf(asking({}), 20);
    expect(open).toMatchObject({ kind: 'approval', task: 'a', since: { time: iso(10), sequence: 2 }, until: null, endedBy: [call('clarifications/a/respond'), call('cancel')] });
    expect(open?.text).toBe("waits for approval 'Go?': 0 of 1 by whoever may, without a time limit");
    const all = { approvers: ['user:ada', 'user:bob'], required: 'all', delegable: true, expiresInMs: 100, onExpiry: 'approve' };
    const steps = [...asking(all), by('user:ada', approve('a')), by('user:bob', delegate('a', 'user:eve'))];
    const [half] = await waitsOf(steps, 20);
    expect(half).toMatchObject({ until: iso(110), endedBy: [call('clarifications/a/respond'), time(110), call('cancel')] });
    expect(half?.text).toBe(`waits for approval 'Go?': 1 of 2 by user:ada, user:bob; user:bob has left it to user:eve; at ${iso(110)} it is approved`);
  });

  it('a wait for an event names its subject, and says when no executor looks for it', async () => {
    const steps = [request([task('a', { runner: 'event', input: { subject: 'y.task.*', match: { taskId: 'b' } } })]), at(10, start('a'))];
    const [wait] = await waitsOf(steps, 20, []);
    expect(wait).toMatchObject({ kind: 'event', task: 'a', until: null, endedBy: [{ kind: 'event', name: 'y.task.*' }, call('cancel')] });
    expect(wait?.text).toBe('waits for an event y.task.* with {"taskId":"b"} of another execution, without a time limit; no executor is alive: start one');
  });

  it('a retry waits since its attempt failed; once its time has come, for an executor', async () => {
    const steps = [request([task('a', { retry: { maxAttempts: 2, delayMs: 100 } })]), at(10, start('a')), at(20, fail('a'))];
    expect(await waitsOf(steps, 50)).toMatchObject([{ kind: 'retry', task: 'a', since: { time: iso(20), sequence: 3 }, until: iso(120) }]);
    expect((await waitsOf(steps, 50))[0]?.text).toMatch(/^attempt 1 failed \(\S+: .+\), attempt 2 follows at/);
    expect(await waitsOf(steps, 120)).toMatchObject([{ kind: 'executor', task: 'a', until: null }]);
  });

  it('a task waits for those it depends on that have not ended', async () => {
    const plan = request([task('a'), task('b'), task('c', { dependsOn: ['a', 'b'] })]);
    const waits = await waitsOf([plan, start('a'), start('b'), succeed('a')], 0);
    expect(waits.find((wait) => wait.task === 'c')).toMatchObject({ kind: 'dependencies', endedBy: [ofTask('b')] });
  });

  it('a task waits for a place where the plan bounds how many run at once', async () => {
    const waits = await waitsOf([request([task('a'), task('b')], { concurrency: 1 }), start('a')], 0);
    expect(waits.find((wait) => wait.task === 'b')).toMatchObject({ kind: 'concurrency', endedBy: [ofTask('a')] });
  });

  it('a task that may not wait for ever for its start says until when', async () => {
    const [wait, behind] = await waitsOf([request([task('b'), task('a', { scheduleToStartMs: 100 })], { concurrency: 1 })], 0, ['e1']);
    expect(wait).toMatchObject({ kind: 'executor', task: 'b', until: null });
    expect(behind).toMatchObject({ kind: 'executor', task: 'a', until: iso(100), endedBy: [{ kind: 'executor', name: 'any' }, time(100)] });
    expect(behind?.text).toContain(`or it fails at ${iso(100)}`);
    const waits = await waitsOf([request([task('b'), task('a', { scheduleToStartMs: 100 })], { concurrency: 1 }), start('b')], 0);
    expect(waits.find(({ task: name }) => name === 'a')).toMatchObject({ kind: 'concurrency', until: iso(100), endedBy: [ofTask('b'), time(100)] });
  });

  it('what undoes is nothing that an execution waits for until it is called, and then waits for its turn', async () => {
    const plan = request([task('a'), task('b', { dependsOn: ['a'] }), task('c', { dependsOn: ['b'] }), task('undo-a', { compensates: 'a' }), task('undo-b', { compensates: 'b' })]);
    const going = [plan, start('a'), succeed('a'), start('b'), succeed('b'), start('c')];
    expect((await waitsOf(going, 0)).map(({ task: name }) => name)).toEqual(['c']);
    const undoing = [...going, at(10, fail('c'))];
    expect(await waitsOf(undoing, 20)).toMatchObject([
      { kind: 'executor', task: 'undo-b', since: { time: iso(10), sequence: 7 } },
      { kind: 'compensation', task: 'undo-a', since: { time: iso(10), sequence: 7 }, endedBy: [ofTask('undo-b')] },
    ]);
    expect(await waitsOf([...undoing, at(20, start('undo-b')), at(30, succeed('undo-b'))], 40)).toMatchObject([{ kind: 'executor', task: 'undo-a', since: { time: iso(30) } }]);
    expect(await waitsOf([...undoing, cancel('graceful')], 20)).toMatchObject([{ kind: 'executor', task: 'undo-b' }, { kind: 'compensation', task: 'undo-a' }]);
  });

  it('a paused execution waits for its resume, and nothing of it for anything else', async () => {
    expect(await waitsOf([request([task('a')]), at(7, pause)], 9)).toMatchObject([
      { kind: 'resume', task: null, since: { time: iso(7), sequence: 2 }, until: null, endedBy: [call('resume'), call('cancel')] },
    ]);
    const [wait, attempt, ...others] = await waitsOf([request([task('a'), task('b')]), start('a'), pause], 9);
    expect([wait?.kind, attempt?.kind, others]).toEqual(['resume', 'attempt', []]);
  });

  it('a cancelled one waits for what still runs', async () => {
    const waits = await waitsOf([request([task('a'), task('b')]), start('a'), cancel('graceful')], 9);
    expect(waits).toMatchObject([{ kind: 'attempt', task: 'a' }]);
    expect(waits[0]?.text).toContain('being cancelled (graceful)');
  });

  it('says when it fails by itself', async () => {
    const why = await after([request([task('a')], { timeoutMs: 1_000 }), at(10, start('a'))], 20);
    expect(why).toMatchObject({ status: 'running', deadlineAt: iso(1_010), ended: null });
  });

  it('of one that has ended says when, and how', async () => {
    const failed = await after([request([task('a')], { timeoutMs: 1_000 }), start('a'), at(5, fail('a', 1, false)), at(9, fail('a'))], 20);
    expect(failed).toMatchObject({ status: 'failed', waitsFor: [], total: 0, deadlineAt: null });
    expect(failed.ended).toMatchObject({ time: iso(5), sequence: 3, reason: { code: 'TASK_FAILED' } });
    const done = await after([request([task('a')]), start('a'), at(5, succeed('a'))], 20);
    expect(done.ended).toEqual({ time: iso(5), sequence: 3, reason: null });
  });

  it('names what is nearest to going on first, and not more than a reader can take', async () => {
    const first = task('first');
    const others = Array.from({ length: 150 }, (_, i) => task(`t${i}`, { dependsOn: ['first'] }));
    const why = await after([request([...others, first]), start('first')], 0);
    expect(why.total).toBe(151);
    expect(why.waitsFor).toHaveLength(100);
    expect(why.waitsFor[0]).toMatchObject({ kind: 'attempt', task: 'first' });
    const many = await waitsOf([request([...others, task('last', { dependsOn: others.map(({ id }) => id) }), first])], 0);
    expect(many.find((wait) => wait.task === 't1')?.text).toBe('waits for first');
  });

  it('has an answer at every moment of a life', async () => {
    const life: Step[] = [
      request([task('a', { retry: { maxAttempts: 2, delayMs: 10 } }), task('b', { dependsOn: ['a'] })]),
      at(1, start('a')),
      at(2, fail('a')),
      at(3, pause),
      at(4, resume),
      at(20, start('a')),
      at(21, succeed('a', 2)),
      at(22, start('b')),
      at(23, succeed('b')),
    ];
    for (let n = 1; n <= life.length; n++) {
      const why = await after(life.slice(0, n), n);
      expect(why.ended === null).toBe(why.waitsFor.length > 0);
    }
  });
});
