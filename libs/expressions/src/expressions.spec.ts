import type { Json, JsonObject } from '#libs/contracts';
import { ExpressionError, type Scope, conditionHolds, expressionRules, renderInput } from './index.js';

const results: Readonly<Record<string, JsonObject>> = { build: { n: 3, list: [1, 2, 3], nested: { ok: true } }, 'a-b': { x: 1 }, skipped: {} };

const scope: Scope = {
  input: { price: 2, rate: 1.5, name: 'Ada', long: 'a'.repeat(100_000), wide: Array.from({ length: 2_000 }, (_, i) => i) },
  execution: { id: 'e-1', name: 'nightly', labels: { team: 'red' } },
  attempt: 2,
  task: (id) => results[id] && { result: results[id], status: id === 'skipped' ? 'skipped' : 'completed' },
};

const render = (text: string): Json | undefined => renderInput({ text }, scope)['text'];
const failure = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (error instanceof ExpressionError) return error.message;
    throw error;
  }
  return 'nothing failed';
};

describe('a template', () => {
  it.each<[string, Json]>([
    ['{{ tasks.build.result.n }}', 3],
    ['{{ tasks.build.result.list }}', [1, 2, 3]],
    ['{{ tasks.build.result.nested }}', { ok: true }],
    ['{{ tasks.build.result.nested.ok }}', true],
    ['{{ null }}', null],
    ['{{ input.rate }}', 1.5],
    ["{{ tasks['a-b'].result.x }}", 1],
    ['{{ tasks.build.status }}', 'completed'],
    ['{{ attempt }}', 2],
    ['{{execution.id}}', 'e-1'],
    ['{{ execution.labels.team }}', 'red'],
    ["{{ {'a': {'b': 1}} }}", { a: { b: 1 } }],
  ])('that is the whole text keeps the type: %s', (text, value) => {
    expect(render(text)).toEqual(value);
  });

  it('inside a text becomes text', () => {
    expect(render('n={{ tasks.build.result.n }}, list={{ tasks.build.result.list }}, {{ input.name }}!')).toBe('n=3, list=[1,2,3], Ada!');
    expect(render(' {{ attempt }}')).toBe(' 2');
  });

  it('stands anywhere in an input, and nothing else is touched', () => {
    const input = { argv: ['echo', '{{ input.name }}'], env: { A: 'plain', '{{ key }}': 'x' }, n: 1, deep: [[{ b: '{{ attempt }}' }]] };
    expect(renderInput(input, scope)).toEqual({ argv: ['echo', 'Ada'], env: { A: 'plain', '{{ key }}': 'x' }, n: 1, deep: [[{ b: 2 }]] });
  });

  it('is written for braces that are to stay', () => {
    expect(render("docker ps --format {{ '{{.Names}}' }}")).toBe('docker ps --format {{.Names}}');
  });

  it('is evaluated once: what it results in is no template', () => {
    expect(renderInput({ a: '{{ input.t }}' }, { ...scope, input: { t: '{{ attempt }}' } })).toEqual({ a: '{{ attempt }}' });
  });

  it('never makes a reference to a secret', () => {
    for (const secret of [{ $secret: 'token' }, { deep: [{ $join: ['a', { $secret: 'token' }] }] }]) {
      expect(failure(() => renderInput({ env: { A: '{{ input.s }}' } }, { ...scope, input: { s: secret } }))).toMatch(
        /^input\/env\/A results in an object with the key \$(secret|join)/,
      );
    }
  });
});

describe('numbers', () => {
  it.each<[string, Json]>([
    ['{{ input.price * 1.5 }}', 3],
    ['{{ input.rate * 2 }}', 3],
    ['{{ input.price + 1 }}', 3],
    ['{{ input.rate - 1 }}', 0.5],
    ['{{ 7 / 2 }}', 3],
    ['{{ 7 / 2.0 }}', 3.5],
    ['{{ tasks.build.result.list[1] }}', 2],
    ['{{ size(tasks.build.result.list) }}', 3],
  ])('mix as those of JSON do: %s', (text, value) => {
    expect(render(text)).toEqual(value);
  });

  it('stay numbers of JSON', () => {
    expect(failure(() => render('{{ 9007199254740993 }}'))).toMatch(/more than 53 bits/);
    expect(failure(() => render('{{ 1.0 / 0.0 }}'))).toMatch(/no finite number/);
    expect(render('{{ string(9007199254740993) }}')).toBe('9007199254740993');
  });
});

describe('a condition', () => {
  it('is true or false', () => {
    expect(conditionHolds("tasks.build.result.n > 2 && execution.labels.team == 'red'", scope)).toBe(true);
    expect(conditionHolds('input.price == 3', scope)).toBe(false);
    expect(failure(() => conditionHolds('input.price', scope))).toBe('when results in neither true nor false');
  });

  it('can ask what became of a task, and whether there is a value', () => {
    expect(conditionHolds("tasks.skipped.status == 'skipped' && !has(tasks.skipped.result.n)", scope)).toBe(true);
    expect(failure(() => conditionHolds('tasks.skipped.result.n > 1', scope))).toMatch(/^when .*n/);
  });
});

describe('what can be seen in a plan already', () => {
  it.each([
    ['input.n >', /^is no expression: at 1:/],
    ['', /^is empty/],
    ['(', /^is no expression/],
    ['('.repeat(999), /nested too deeply|no expression/],
    ['"x'.padEnd(3_000, 'x'), /at most 2000/],
    ['foo(1)', /calls foo\(\)/],
    ['process.env', /names 'process'/],
    ['constructor', /names 'constructor'/],
    ['tasks', /no task's result or status/],
    ['tasks.a', /no task's result or status/],
    ['tasks[input.x].result', /no task's result or status/],
    ['tasks.a.error', /no task's result or status/],
    ['execution.tenant', /there are id, name and labels/],
    ['google.protobuf.Duration{seconds: 1}', /google\.protobuf\.Duration/],
    ['input.list.map(x, y)', /names 'y'/],
  ])('%s', (text, fault) => {
    expect(expressionRules.condition(text).fault).toMatch(fault);
  });

  it('are the tasks that it refers to', () => {
    const { tasks, fault } = expressionRules.condition("tasks.a.result.n > 1 && tasks['b-c'].status == 'x' && input.l.all(t, t == tasks.d.result)");
    expect([fault, tasks]).toEqual([undefined, ['a', 'b-c', 'd']]);
    expect(expressionRules.condition('input.l.all(tasks, tasks.x)').fault).toBeUndefined();
  });

  it('are names that not every expression knows, where this one does not', () => {
    expect(expressionRules.condition('item.size > index', ['item', 'index']).fault).toBeUndefined();
    expect(expressionRules.condition('item.size > 1').fault).toMatch(/names 'item', which there is not; there are input, tasks, execution and attempt/);
    expect(expressionRules.condition('items > 1', ['item', 'index']).fault).toMatch(/there are input, tasks, execution, item, index and attempt/);
    expect(expressionRules.templates({ a: '{{ item }}' }, ['item'])).toEqual([expect.objectContaining({ fault: undefined })]);
  });

  it('are all templates of an input, each with its path', () => {
    const found = expressionRules.templates({ argv: ['a', 'x{{ tasks.a.result }}{{ nope }}'], 'a/b': '{{ attempt }}', open: '{{ 1', plain: '}} {' });
    expect(found.map(({ path, fault }) => [path, fault])).toEqual([
      ['/argv/1', expect.stringContaining("names 'nope'")],
      ['/a~1b', undefined],
      ['/open', expect.stringContaining('{{ without }}')],
    ]);
  });
});

describe('the time an expression takes', () => {
  const within = (ms: number, work: () => unknown): string => {
    const startedAt = performance.now();
    const message = failure(work);
    expect(performance.now() - startedAt).toBeLessThan(ms);
    return message;
  };

  it('is bounded in regular expressions, which do not backtrack', () => {
    within(1_000, () => conditionHolds("(input.long + '!').matches('(a+)+$')", scope));
    expect(within(2_000, () => conditionHolds("input.wide.all(x, input.long.matches('(a|aa)*b') || true)", scope))).toMatch(/takes too long/);
    expect(failure(() => conditionHolds("'a'.matches('((a{100}){100}){100}')", scope))).toMatch(/repeat count/);
  });

  it.each([
    ['loops in loops', 'input.wide.all(x, input.wide.all(y, true))'],
    ['loops in loops that nothing is done in', 'input.wide.exists(x, input.wide.exists(y, false))'],
    ['errors that are passed over', 'input.wide.all(x, input.wide.all(y, 1 / 0 > 1 || true)) || true'],
    ['comparisons of long texts', 'input.wide.all(x, input.long == input.long)'],
    ['comparisons of long lists', 'input.wide.all(x, input.wide == input.wide)'],
    ['searches of long lists', 'input.wide.all(x, !(-1 in input.wide))'],
    ['lists that grow', 'input.wide.map(x, input.wide.map(y, input.wide)).size() > 0'],
    ['texts that grow', 'input.wide.all(x, size(input.long + input.long + input.long) > 0)'],
  ])('is bounded in %s', (_, text) => {
    expect(within(3_000, () => conditionHolds(text, scope))).toMatch(/takes too long: more than 50000 steps/);
  });

  it('is bounded for all templates of an input together', () => {
    const many = Array.from({ length: 100 }, () => '{{ input.wide.filter(x, x > 0).size() }}');
    expect(within(3_000, () => renderInput({ many }, scope))).toMatch(/^input\/many\/\d+ takes too long/);
    expect(renderInput({ few: many.slice(0, 1) }, scope)).toEqual({ few: [1_999] });
  });

  it('is no reason to refuse what is of ordinary size', () => {
    expect(renderInput({ l: '{{ input.wide.filter(x, x % 2 == 0).map(x, x * 2) }}' }, scope)['l']).toHaveLength(1_000);
  });

  it('is bounded for a plan’s worth of conditions that are only looked at', () => {
    within(3_000, () => {
      for (let i = 0; i < 1_000; i++) expressionRules.condition(`tasks.t${i}.result.n > ${i} && input.x == 'y'`);
    });
  });
});

it('bounds what an input becomes', () => {
  expect(failure(() => renderInput({ a: '{{ input.long }}', b: '{{ input.long }}', c: '{{ input.long }}' }, scope))).toMatch(/^input\/c makes the input longer/);
});
