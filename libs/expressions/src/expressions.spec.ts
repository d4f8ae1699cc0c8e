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
    expect(failure(() => conditionHolds('input.price', scope))).toBe('when results in neither true nor false; compare it with something');
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
    const { tasks, fault } = expressionRules.condition("tasks.a.result.n > 1 && tasks['b-c'].status == 'skipped' && input.l.all(t, t == tasks.d.result)");
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

describe('what can be seen to go wrong in a plan already', () => {
  it.each([
    ['tasks.a.status', 'results in text, where it must be true or false; compare it with something'],
    ['attempt + 1', 'results in a whole number, where it must be true or false; compare it with something'],
    ["tasks.a.status == 'success'", "compares a status with 'success', which it never is; it is one of completed, failed, skipped, cancelled"],
    ["tasks.a.status in ['done', 'skipped']", "compares a status with 'done', which it never is; it is one of completed, failed, skipped, cancelled"],
    ['tasks.a.status > 3', "can't apply > to text and a whole number; convert with string(), int() or double(), or name a value that fits"],
    ['tasks.a.result > 3', "can't apply > to an object and a whole number; convert with string(), int() or double(), or name a value that fits"],
    ["tasks.a.result == 'ok'", "can't apply == to an object and text; convert with string(), int() or double(), or name a value that fits: they are never equal"],
    ["execution.name + 1 == 'x'", "can't apply + to text and a whole number; convert with string(), int() or double(), or name a value that fits"],
    ['attempt && true', 'joins a whole number by &&, which is for true or false; compare it with something'],
    ['attempt ? true : false', 'needs true or false before ?, and has a whole number; compare it with something'],
    ['input.l.all(x, attempt.startsWith(x))', undefined],
    ["input.l.all(x, attempt.startsWith('x'))", "can't apply startsWith() to a whole number and text; convert with string(), int() or double(), or name a value that fits"],
    ['x = 1', 'is no expression: at 1:3: found =; compare with =='],
    ['input.a and input.b', 'is no expression: at 1:9: found a; write && for and, || for or, ! for not'],
    ['input.n >', 'is no expression: at 1:9: found >; what follows it is missing, or not complete'],
    ['secrets.token == 1', 'names \'secrets\', which there is not; there are input, tasks, execution and attempt; a secret is no part of an expression: an input names it, {"$secret": "name"}'],
  ])('%s', (text, fault) => {
    expect(expressionRules.condition(text).fault).toBe(fault);
  });

  it.each(['has(input.x)', 'input.x', 'input.x == 1', 'attempt == 1.0', 'tasks.a.result == null', "tasks.a.status == 'skipped' || tasks.a.result.n > 1", 'input.l.exists(t, t > 1)', "size(tasks.a.result) > 0 && 'n' in tasks.a.result", '!has(tasks.a.result.x)', "execution.labels.team == 'red'", 'attempt / 2 == 1', 'input.x ? true : input.y', "type(input.x) == int", "input.l.exists(tasks, tasks.a.status == 'open')"])(
    'nothing, in %s',
    (text) => expect(expressionRules.condition(text).fault).toBeUndefined(),
  );

  it('what a template that is the whole text results in, where that is known', () => {
    const kinds = ['{{ tasks.a.result }}', '{{ tasks.a.status }}', '{{ tasks.a.result.l }}', '{{ [1, 2] }}', 'x{{ 1 }}'].map((a) => expressionRules.templates({ a })[0]?.kind);
    expect(kinds).toEqual(['an object', 'text', undefined, 'a list', 'text']);
  });

  it('the kinds of what an iteration knows', () => {
    expect(expressionRules.condition('iteration > result', ['iteration', 'result']).fault).toMatch(/^can't apply > to a whole number and an object/);
    expect(expressionRules.condition('iteration >= 3 && result.ready', ['iteration', 'result']).fault).toBeUndefined();
    expect(expressionRules.templates({ a: "{{ index + 'x' }}" }, ['item', 'index'])[0]?.fault).toMatch(/^can't apply \+ to a whole number and text/);
  });
});

describe('why there is no value', () => {
  it.each([
    ['{{ input.nope.deep }}', 'finds no input.nope; name what is there, or test for it first: has(input.nope)'],
    ["{{ tasks['a-b'].result.nope }}", "finds no tasks['a-b'].result.nope; name what is there, or test for it first: has(tasks['a-b'].result.nope)"],
    ["{{ input[input.name] }}", 'asks for a key that is not there; test for it first with in'],
    ['{{ tasks.build.result.list[7] }}', 'asks for [7] of a list that ends before it; items are counted from 0: test size() first'],
    ['{{ input.name + 1 }}', "can't apply + to text and a whole number; convert with string(), int() or double(), or name a value that fits"],
    ['{{ input.price / 0 }}', 'divides by zero; test the divisor first: d == 0 ? 0 : n / d'],
    ['{{ int(input.name) }}', 'converts a text that is not of that kind; test it first with matches()'],
    ['{{ input.name.matches(input.name + "(") }}', "has a pattern that RE2 can't take (missing closing )); see github.com/google/re2/wiki/Syntax"],
    ['{{ timestamp(input.name) > timestamp(input.name) }}', "makes a time of a text that is none; write it as '2026-11-20T00:00:00Z'"],
    ['{{ duration(input.name) }}', "makes a duration of a text that is none; write it as '90s' or '1h30m'"],
    ['{{ input.price.map(x, x) }}', 'goes through a whole number as if it were a list; name a list'],
    ['{{ uint(input.name) }}', 'converts a text that is not of that kind; test it first with matches()'],
    ['{{ double(input.name) }}', 'results in no finite number, and JSON has no other; test for it first'],
    ['{{ bool(input.name) }}', 'converts a text that is not of that kind; test it first with matches()'],
    ['{{ input.price + 9223372036854775807 }}', 'results in a whole number of more than 64 bits; compute with double()'],
  ])('%s says what to do, and never a value', (text, message) => {
    expect(failure(() => render(text))).toBe(`input/text ${message}`);
    expect(message).not.toContain('Ada');
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
