import fc from 'fast-check';
import type { JsonObject } from '#libs/contracts';
import type { ExpressionRules } from './plan-expressions.js';
import type { PlanProblem } from './plan-faults.js';
import { type RunnerInputs, parsePlan } from './plan.js';

const runners: RunnerInputs = new Map<string, (input: JsonObject) => readonly PlanProblem[]>([
  ['noop', () => []],
  ['execution', () => []],
  ['strict', (input) => (input['ok'] === true ? [] : [{ path: '/ok', message: 'must be true' }])],
]);

const plan = (tasks: unknown, more: object = {}): unknown => ({ name: 'plan', tasks, ...more });
const noop = (id: unknown, more: object = {}): object => ({ id, runner: 'noop', ...more });
const nested = (depth: number): unknown => {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = { deeper: value };
  return value;
};

const faults: readonly (readonly [string, unknown, string, RegExp])[] = [
  ['no object', [], '', /object/],
  ['no name', { tasks: [noop('a')] }, '/name', /1 to 200/],
  ['a name with NUL', { name: 'a\0b', tasks: [noop('a')] }, '/name', /printable/],
  ['a name with half a character', { name: 'a\ud800', tasks: [noop('a')] }, '/name', /printable/],
  ['an unknown field', plan([noop('a')], { color: 'red' }), '/color', /unknown field/],
  ['no tasks', plan([]), '/tasks', /at least one/],
  ['tasks that are no list', plan({}), '/tasks', /list/],
  ['too many tasks', plan(Array.from({ length: 10_001 }, (_, i) => noop(`t${i}`))), '/tasks', /at most 10000/],
  ['a task that is no object', plan([1]), '/tasks/0', /object/],
  ['an id with a dot', plan([noop('a.b')]), '/tasks/0/id', /must match/],
  ['an id of 65 characters', plan([noop('x'.repeat(65))]), '/tasks/0/id', /must match/],
  ['a wildcard as id', plan([noop('>')]), '/tasks/0/id', /must match/],
  ['a duplicate id', plan([noop('a'), noop('b'), noop('a')]), '/tasks/2/id', /duplicate.*\/tasks\/0/],
  ['an unknown runner', plan([{ id: 'a', runner: 'teleport' }]), '/tasks/0/runner', /known are noop, execution, strict/],
  ['an input that its runner refuses', plan([{ id: 'a', runner: 'strict', input: {} }]), '/tasks/0/input/ok', /true/],
  ['an input that is no object', plan([noop('a', { input: [] })]), '/tasks/0/input', /object/],
  ['an input nested 10,000 deep', plan([noop('a', { input: nested(10_000) })]), '/tasks/0/input', /deeper than 64/],
  ['an input with 200,000 keys', plan([noop('a', { input: Object.fromEntries(Array.from({ length: 200_000 }, (_, i) => [`k${i}`, i])) })]), '/tasks/0/input', /more than 50000/],
  ['an input with __proto__', plan([noop('a', { input: JSON.parse('{"__proto__":{"x":1}}') as object })]), '/tasks/0/input/__proto__', /not allowed/],
  ['an input with a number that is none', plan([noop('a', { input: { n: Infinity } })]), '/tasks/0/input/n', /finite/],
  ['a dependency that is not there', plan([noop('a', { dependsOn: ['b'] })]), '/tasks/0/dependsOn/0', /unknown task "b"/],
  ['a dependency twice', plan([noop('a'), noop('b', { dependsOn: ['a', 'a'] })]), '/tasks/1/dependsOn/1', /twice/],
  ['a dependency on itself', plan([noop('a', { dependsOn: ['a'] })]), '/tasks/0/dependsOn', /cycle: a depends on a/],
  ['dependencies that are no list', plan([noop('a', { dependsOn: 'b' })]), '/tasks/0/dependsOn', /list/],
  ['a cycle', plan([noop('x'), noop('a', { dependsOn: ['b'] }), noop('b', { dependsOn: ['a'] })]), '/tasks/1/dependsOn', /a depends on b depends on a/],
  ['a timeout of 0', plan([noop('a', { timeoutMs: 0 })]), '/tasks/0/timeoutMs', /integer/],
  ['a timeout that is no number', plan([noop('a', { timeoutMs: Number.NaN })]), '/tasks/0/timeoutMs', /integer/],
  ['a start within no time', plan([noop('a', { scheduleToStartMs: 0 })]), '/tasks/0/scheduleToStartMs', /integer/],
  ['a heartbeat of what has none', plan([{ id: 'a', runner: 'execution', input: { plan: plan([noop('b')]) }, heartbeatMs: 100 }]), '/tasks/0/heartbeatMs', /is not for the runner execution.*timeoutMs/],
  ['a heartbeat of a fraction', plan([noop('a', { heartbeatMs: 0.5 })]), '/tasks/0/heartbeatMs', /integer/],
  ['a negative number of attempts', plan([noop('a', { retry: { maxAttempts: -1 } })]), '/tasks/0/retry/maxAttempts', /1 to 100/],
  ['no number of attempts', plan([noop('a', { retry: {} })]), '/tasks/0/retry/maxAttempts', /required/],
  ['an unknown backoff', plan([noop('a', { retry: { maxAttempts: 2, backoff: 'random' } })]), '/tasks/0/retry/backoff', /one of/],
  ['more jitter than there is wait', plan([noop('a', { retry: { maxAttempts: 2, jitter: 1.5 } })]), '/tasks/0/retry/jitter', /0 to 1/],
  ['an error code in lower case', plan([noop('a', { retry: { maxAttempts: 2, retryOn: ['OK_SO_FAR', 'oops'] } })]), '/tasks/0/retry/retryOn/1', /error code/],
  ['error codes that are no list', plan([noop('a', { retry: { maxAttempts: 2, finalErrors: 'X' } })]), '/tasks/0/retry/finalErrors', /list/],
  ['an error that is final and retried', plan([noop('a', { retry: { maxAttempts: 2, finalErrors: ['X'], retryOn: ['X'] } })]), '/tasks/0/retry/retryOn/0', /finalErrors/],
  ['an unknown onFailure', plan([noop('a', { onFailure: 'shrug' })]), '/tasks/0/onFailure', /one of/],
  ['a log artifact that is neither wanted nor not', plan([noop('a')], { logArtifact: 'yes' }), '/logArtifact', /true or false/],
  ['a concurrency of 0', plan([noop('a')], { concurrency: 0 }), '/concurrency', /integer/],
];

const expressions: ExpressionRules = {
  condition: (text) => ({ path: '', length: text.length, tasks: text.startsWith('?') ? [] : [text], fault: text.startsWith('?') ? 'is no expression' : undefined }),
  templates: (input) =>
    Object.entries(input).flatMap(([key, value]) => (typeof value === 'string' ? [{ path: `/${key}`, length: value.length, tasks: [value], fault: undefined }] : [])),
};

describe('expressions in a plan', () => {
  const problems = (...tasks: readonly object[]): readonly PlanProblem[] => {
    const result = parsePlan(plan(tasks), runners, expressions);
    return 'problems' in result ? result.problems : [];
  };
  const strict = (id: string, input: object, more: object = {}): object => ({ id, runner: 'strict', input, ...more });

  it('may name what a task depends on, however far away', () => {
    expect(problems(noop('a'), noop('b', { dependsOn: ['a'] }), noop('c', { dependsOn: ['b'], when: 'a', input: { x: 'b' } }))).toEqual([]);
  });

  it.each([
    ['a task that is not there', 'z', /names task 'z', which there is not/],
    ['a task that it does not depend on', 'other', /'b' does not depend: its result may not be there yet/],
    ['itself', 'b', /does not depend/],
    ['a task that depends on it, which would be a loop', 'after', /does not depend/],
  ])('may not name %s', (_, named, message) => {
    const tasks = [noop('a'), noop('other'), noop('b', { dependsOn: ['a'], when: named }), noop('after', { dependsOn: ['b'] })];
    expect(problems(...tasks)).toEqual([{ path: '/tasks/2/when', message: expect.stringMatching(message) as string }]);
    const templates = [noop('a'), noop('other'), noop('b', { dependsOn: ['a'], input: { x: named } }), noop('after', { dependsOn: ['b'] })];
    expect(problems(...templates)).toEqual([{ path: '/tasks/2/input/x', message: expect.stringMatching(message) as string }]);
  });

  it('have their faults named with the path to them', () => {
    expect(problems(noop('a', { when: '?' }))).toEqual([{ path: '/tasks/0/when', message: 'is no expression' }]);
    expect(problems(noop('a', { when: 7 }))).toEqual([{ path: '/tasks/0/when', message: 'must be an expression as text' }]);
  });

  it('excuse a value that is not known yet, and nothing beside it', () => {
    expect(problems(noop('a'), strict('b', { ok: 'a' }, { dependsOn: ['a'] }))).toEqual([]);
    expect(problems(noop('a'), strict('b', { ok: 1, x: 'a' }, { dependsOn: ['a'] }))).toEqual([{ path: '/tasks/1/input/ok', message: 'must be true' }]);
  });

  it('are no longer in all than can be looked through in a moment', () => {
    const long = Array.from({ length: 200 }, (_, i) => noop(`t${i}`, { when: 'a'.padEnd(1_000) }));
    expect(problems(...long).some(({ message }) => message.includes('more than 100000 characters'))).toBe(true);
  });

  it('are not known where nobody brings them', () => {
    const result = parsePlan(plan([noop('a', { when: 'true' })]), runners);
    expect(result).toEqual({ problems: [{ path: '/tasks/0/when', message: 'conditions are not known here' }] });
  });
});

it('a plan that wants no log artifact says nothing of it', () => {
  const parsed = (logArtifact: boolean): unknown => parsePlan(plan([noop('a')], { logArtifact }), runners);
  expect(parsed(true)).toMatchObject({ plan: { logArtifact: true } });
  expect(parsed(false)).toEqual(parsePlan(plan([noop('a')]), runners));
});

describe('items and iterations', () => {
  const problems = (...tasks: readonly object[]): unknown => {
    const result = parsePlan(plan(tasks), runners, expressions);
    return 'problems' in result ? result.problems.map(({ path, message }) => `${path} ${message}`) : 'none';
  };
  const each = (forEach: unknown, more: object = {}): object => noop('b', { dependsOn: ['a'], forEach, ...more });
  const loop = (of: unknown, more: object = {}): object => noop('b', { dependsOn: ['a'], loop: of, ...more });

  it('are of a list, or of what a template results in, and of a condition with a bound', () => {
    expect(problems(noop('a'), each({ items: [1, { x: [] }], concurrency: 3, failFast: true }))).toBe('none');
    expect(problems(noop('a'), each({ items: 'a' }))).toBe('none');
    expect(problems(noop('a'), loop({ until: 'a', maxIterations: 5, delayMs: 0 }))).toBe('none');
  });

  it.each<[string, object, string]>([
    ['items that are no list', each({ items: 7 }), '/tasks/1/forEach/items must be a list, or a text with a template'],
    ['no items', each({}), '/tasks/1/forEach/items must be a list'],
    ['a list that is none', each([1]), '/tasks/1/forEach must be an object with items'],
    ['more items than there may be', each({ items: Array(1_001).fill(0) }), '/tasks/1/forEach/items 1001 items; at most 1000'],
    ['items that are too large', each({ items: Array(10).fill({ text: 'x'.repeat(14_000) }) }), '/tasks/1/forEach/items more than 131072 bytes'],
    ['items of what it does not depend on', each({ items: 'z' }), "/tasks/1/forEach/items names task 'z', which there is not"],
    ['no items at once', each({ items: [], concurrency: 0 }), '/tasks/1/forEach/concurrency must be an integer from 1 to 1000'],
    ['a failFast that is no truth', each({ items: [], failFast: 'yes' }), '/tasks/1/forEach/failFast must be true or false'],
    ['another field', each({ items: [], parallel: 1 }), '/tasks/1/forEach/parallel unknown field; known are items, concurrency, failFast'],
    ['items of items', each({ items: [], forEach: { items: [] } }), '/tasks/1/forEach/forEach there is no fan-out within a fan-out; make one list of all with an expression, or let each item be an execution of its own'],
    ['items and iterations together', each({ items: [] }, { loop: { until: 'a', maxIterations: 1 } }), '/tasks/1/forEach is not for a task with a loop'],
    ['a loop without a bound', loop({ until: 'a' }), '/tasks/1/loop/maxIterations is required: 1 to 1000'],
    ['a loop without an end', loop({ maxIterations: 3 }), '/tasks/1/loop/until must be an expression as text'],
    ['a loop whose end is no expression', loop({ until: '?', maxIterations: 3 }), '/tasks/1/loop/until is no expression'],
    ['a loop that waits backwards', loop({ until: 'a', maxIterations: 3, delayMs: -1 }), '/tasks/1/loop/delayMs must be an integer'],
    ['an id that leaves no room', noop('x'.repeat(60), { forEach: { items: [] } }), '/tasks/1/id more than 59 characters'],
  ])('are refused with %s', (_, task, message) => {
    expect(problems(noop('a'), task)).toEqual([expect.stringContaining(message)]);
  });

  it('have ids that no other task may have', () => {
    expect(problems(noop('b--0'), noop('b', { forEach: { items: [] } }))).toEqual(['/tasks/0/id is kept for an item or iteration of /tasks/1']);
    expect(problems(noop('b--0'), noop('b'), noop('b--x', { loop: { until: 'b--x', maxIterations: 1 } }))).toEqual([expect.stringContaining('does not depend')]);
  });

  it('know more names than other tasks, each of their own', () => {
    const asked: (readonly string[] | undefined)[] = [];
    const rules: ExpressionRules = {
      condition: (text, names) => (asked.push(names), expressions.condition(text)),
      templates: (input, names) => (asked.push(names), expressions.templates(input)),
    };
    parsePlan(plan([noop('a', { forEach: { items: [] } }), noop('b', { loop: { until: 'b', maxIterations: 1 } }), noop('c', { when: 'c' })]), runners, rules);
    expect(asked).toEqual([['item', 'index'], undefined, ['iteration', 'result'], ['iteration', 'result'], [], undefined]);
  });
});

describe('what undoes', () => {
  const problems = (...tasks: readonly object[]): unknown => {
    const result = parsePlan(plan(tasks), runners, expressions);
    return 'problems' in result ? result.problems.map(({ path, message }) => `${path} ${message}`) : 'none';
  };

  it('names a task, and knows of it and of what came before it', () => {
    expect(problems(noop('a'), noop('b', { dependsOn: ['a'] }), noop('u', { compensates: 'b', input: { x: 'b', y: 'a' } }))).toBe('none');
    expect(problems(noop('a'), noop('b'), noop('u', { compensates: 'b', input: { x: 'a' } }))).toEqual([expect.stringContaining("'u' does not depend")]);
  });

  it.each([
    ['nothing', noop('u', { compensates: 'z' }), '/tasks/2/compensates unknown task "z"'],
    ['itself', noop('u', { compensates: 'u' }), "/tasks/2/compensates 'u' is itself one that undoes a task"],
    ['what undoes', noop('u', { compensates: 'undo' }), "/tasks/2/compensates 'undo' is itself one that undoes a task"],
    ['what another one undoes already', noop('u', { compensates: 'a' }), "/tasks/2/compensates /tasks/1 undoes 'a' already"],
    ['under a condition', noop('u', { compensates: 'a', when: 'a' }), '/tasks/2/when is not for a task that undoes another'],
    ['after others', noop('u', { compensates: 'a', dependsOn: ['a'] }), '/tasks/2/dependsOn is not for a task that undoes another'],
    ['a number', noop('u', { compensates: 1 }), '/tasks/2/compensates must be the id of a task'],
    ['not, but depends on what does', noop('u', { dependsOn: ['undo'] }), "/tasks/2/dependsOn/0 'undo' undoes a task; nothing can depend on it"],
  ])('is refused where it undoes %s', (_, last, message) => {
    expect(problems(noop('a'), noop('undo', { compensates: 'a' }), last)).toEqual([expect.stringContaining(message)]);
  });
});

it.each(faults)('refuses %s and names the path to it', (_, value, path, message) => {
  const result = parsePlan(value, runners);
  if (!('problems' in result)) throw new Error('the plan was accepted');
  const found = result.problems.find((problem) => problem.path.startsWith(path));
  expect(found?.path.startsWith(path)).toBe(true);
  expect(found?.message).toMatch(message);
  expect(result.problems.length).toBeLessThanOrEqual(20);
});

it('gives every task its input and its dependencies', () => {
  expect(parsePlan(plan([noop('a'), noop('b', { dependsOn: ['a'] })]), runners)).toEqual({
    plan: {
      name: 'plan',
      tasks: [
        { id: 'a', runner: 'noop', input: {}, dependsOn: [] },
        { id: 'b', runner: 'noop', input: {}, dependsOn: ['a'] },
      ],
    },
  });
});

it('accepts a chain of 10,000 tasks without recursion', () => {
  const tasks = Array.from({ length: 10_000 }, (_, i) => noop(`t${i}`, i > 0 ? { dependsOn: [`t${i - 1}`] } : {}));
  expect('plan' in parsePlan(plan(tasks), runners)).toBe(true);
  tasks[0] = noop('t0', { dependsOn: ['t9999'] });
  expect('problems' in parsePlan(plan(tasks), runners)).toBe(true);
});

it('answers whatever comes in, and never throws', () => {
  fc.assert(
    fc.property(fc.oneof(fc.anything({ withNullPrototype: true }), fc.array(fc.anything()).map((tasks) => plan(tasks))), (value) => {
      expect(Object.keys(parsePlan(value, runners))).toHaveLength(1);
    }),
    { numRuns: 1_000 },
  );
});

describe('the plan of a child', () => {
  const runs = (inner: unknown, id = 'a', more: object = {}): object => ({ id, runner: 'execution', input: { plan: inner, ...more } });
  const within = (depth: number): unknown => plan([depth === 0 ? noop('x') : runs(within(depth - 1))]);

  it('is held to the same rules, with the path to each fault from the outermost plan', () => {
    const inner = plan([noop('x', { dependsOn: ['y'] }), { id: 'z', runner: 'strict' }]);
    expect(parsePlan(plan([noop('y'), runs(inner)]), runners)).toEqual({
      problems: [{ path: '/tasks/1/input/plan/tasks/1/input/ok', message: 'must be true' }],
    });
    expect(parsePlan(plan([noop('y'), runs(plan([noop('x', { dependsOn: ['y'] })]))]), runners)).toEqual({
      problems: [{ path: '/tasks/1/input/plan/tasks/0/dependsOn/0', message: 'unknown task "y"; the plan has x' }],
    });
  });

  it('is normal as the outer one is', () => {
    const parsed = parsePlan(plan([runs(plan([noop('x')]), 'a', { input: { n: 1 } })]), runners);
    const inner = { name: 'plan', tasks: [{ id: 'x', runner: 'noop', input: {}, dependsOn: [] }] };
    expect(parsed).toEqual({ plan: { name: 'plan', tasks: [{ id: 'a', runner: 'execution', input: { plan: inner, input: { n: 1 } }, dependsOn: [] }] } });
  });

  it('stands at most seven plans deep', () => {
    expect(parsePlan(within(7), runners)).toHaveProperty('plan');
    const { problems } = parsePlan(within(8), runners) as { problems: PlanProblem[] };
    expect(problems).toEqual([{ path: `${'/tasks/0/input/plan'.repeat(8)}`, message: expect.stringMatching(/^more than 8 plans within one another; let/) }]);
  });

  it('has templates of its own, of which the outer one knows nothing', () => {
    const expressions: ExpressionRules = {
      condition: () => ({ path: '', length: 1, tasks: [], fault: undefined }),
      templates: (input) => (input['t'] === undefined ? [] : [{ path: '/t', length: 1, tasks: [input['t'] as string], fault: undefined }]),
    };
    const inner = plan([noop('x'), noop('y', { dependsOn: ['x'], input: { t: 'x' } })]);
    expect(parsePlan(plan([runs(inner)]), runners, expressions)).toHaveProperty('plan');
    expect(parsePlan(plan([runs(plan([noop('y', { input: { t: 'a' } })]))]), runners, expressions)).toMatchObject({ problems: [{ path: '/tasks/0/input/plan/tasks/0/input/t' }] });
  });
});
