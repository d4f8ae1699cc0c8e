import type { Json, JsonObject, Plan, PlanTask } from '#libs/contracts';
import { findCycle } from './cycle.js';
import { childId, isExpanded } from './children.js';
import { MAX_DURATION_MS, MAX_ITEMS, MAX_ITEMS_BYTES, MAX_ITERATIONS, MAX_PLAN_DEPTH, MAX_TASKS } from './limits.js';
import { type Expression, type ExpressionRules, LOOP_NAMES, MAX_EXPRESSIONS, comesAfter, isOfTemplate, namesOf, noExpressions } from './plan-expressions.js';
import { isSubExecution, ownInput, planOfChild } from './sub-executions.js';
import { bytesOf } from './task-state.js';

/** A fault in a plan. `path` is a JSON pointer from the plan, such as `/tasks/3/dependsOn/0`. */
export type PlanProblem = { readonly path: string; readonly message: string };

/** Per runner name, what is wrong with a task's input; paths are JSON pointers from the input. */
export type RunnerInputs = ReadonlyMap<string, (input: JsonObject) => readonly PlanProblem[]>;

const MAX_PROBLEMS = 20;
const MAX_DEPTH = 64;
/** Values of JSON in the input of one task, and of all tasks of a plan. */
const MAX_VALUES = { input: 50_000, plan: 250_000 } as const;
const MAX_CODES = 32;
const MAX_PATTERNS = 20;
const MAX_ID = 64;
const errorCode = /^[A-Z][A-Z0-9_]{0,63}$/;
// The rule of subject tokens: a task's id is one in its output's subject.
const id = /^[A-Za-z0-9_-]{1,64}$/;
// oxlint-disable-next-line no-control-regex
const unprintable = /[\u0000-\u001f\u007f]|\p{Surrogate}/u;

type Fields = { readonly [key: string]: unknown };

const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
const at = (path: string, key: string | number): string => `${path}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;

/** A task as it came, once it is known to be one. */
type LooseTask = Omit<PlanTask, 'input' | 'dependsOn'> & Partial<Pick<PlanTask, 'input' | 'dependsOn'>>;

class Parser {
  readonly problems: PlanProblem[] = [];
  private readonly values = { input: 0, plan: 0 };
  private expressionLength = 0;
  /** Which task names which, and where. */
  private readonly references: { readonly path: string; readonly task: string; readonly named: string }[] = [];

  constructor(
    private readonly runners: RunnerInputs,
    private readonly expressions: ExpressionRules,
    private readonly depth = 1,
  ) {}

  fault(path: string, message: string): void {
    if (this.problems.length < MAX_PROBLEMS) this.problems.push({ path, message });
  }

  only(path: string, fields: Fields, known: readonly string[]): void {
    for (const key of Object.keys(fields)) {
      if (!known.includes(key)) this.fault(at(path, key.slice(0, 64)), `unknown field; known are ${known.join(', ')}`);
    }
  }

  integer(path: string, value: unknown, min: number, max: number): void {
    if (value === undefined) return;
    if (!Number.isInteger(value) || Number(value) < min || Number(value) > max) {
      this.fault(path, `must be an integer from ${min} to ${max}`);
    }
  }

  oneOf(path: string, value: unknown, known: readonly string[]): void {
    if (value !== undefined && !known.includes(value as string)) this.fault(path, `must be one of ${known.join(', ')}`);
  }

  text(path: string, value: unknown, max: number): void {
    if (typeof value !== 'string' || value.length === 0 || value.length > max || unprintable.test(value)) {
      this.fault(path, `must be text of 1 to ${max} printable characters`);
    }
  }

  /** Bounds depth and number of values, so that folding, hashing and sending them stays cheap, and refuses broken text. */
  json(path: string, value: unknown, depth = 0): void {
    this.values.input += 1;
    this.values.plan += 1;
    if (this.problems.length > 0) return;
    for (const whole of ['input', 'plan'] as const) {
      if (this.values[whole] > MAX_VALUES[whole]) return this.fault(path, `more than ${MAX_VALUES[whole]} values in one ${whole}`);
    }
    if (depth > MAX_DEPTH) return this.fault(path, `nested deeper than ${MAX_DEPTH} levels`);
    if (typeof value === 'string' && /\p{Surrogate}/u.test(value)) return this.fault(path, 'holds half a character (a lone surrogate)');
    if (typeof value === 'number' && !Number.isFinite(value)) return this.fault(path, 'must be a finite number');
    if (typeof value !== 'object' || value === null) return;
    for (const [key, member] of Object.entries(value)) {
      if (key === '__proto__') return this.fault(at(path, key), 'this key is not allowed');
      this.json(at(path, key), member, depth + 1);
    }
  }

  retry(path: string, value: unknown): void {
    if (value === undefined) return;
    if (!isObject(value)) return this.fault(path, 'must be an object');
    this.only(path, value, ['maxAttempts', 'backoff', 'delayMs', 'maxDelayMs', 'jitter', 'finalErrors', 'retryOn']);
    if (value['maxAttempts'] === undefined) this.fault(at(path, 'maxAttempts'), 'is required: 1 to 100');
    this.integer(at(path, 'maxAttempts'), value['maxAttempts'], 1, 100);
    this.oneOf(at(path, 'backoff'), value['backoff'], ['fixed', 'linear', 'exponential']);
    this.integer(at(path, 'delayMs'), value['delayMs'], 0, MAX_DURATION_MS);
    this.integer(at(path, 'maxDelayMs'), value['maxDelayMs'], 0, MAX_DURATION_MS);
    const { jitter = 0, finalErrors, retryOn } = value;
    if (typeof jitter !== 'number' || !(jitter >= 0 && jitter <= 1)) this.fault(at(path, 'jitter'), 'must be a number from 0 to 1');
    this.errorCodes(at(path, 'finalErrors'), finalErrors, undefined);
    this.errorCodes(at(path, 'retryOn'), retryOn, finalErrors);
  }

  errorCodes(path: string, value: unknown, others: unknown): void {
    if (value === undefined) return;
    if (!Array.isArray(value) || value.length > MAX_CODES) return this.fault(path, `must be a list of at most ${MAX_CODES} error codes`);
    value.forEach((code: unknown, index) => {
      if (typeof code !== 'string' || !errorCode.test(code)) this.fault(at(path, index), `must be an error code: ${errorCode.source}`);
      else if (Array.isArray(others) && others.includes(code)) this.fault(at(path, index), 'stands in finalErrors, too');
    });
  }

  input(path: string, fields: Fields): void {
    const { id: task, runner, input = {} } = fields;
    if (!isObject(input)) return this.fault(path, 'must be an object');
    const before = this.problems.length;
    this.values.input = 0;
    this.json(path, input);
    if (typeof runner !== 'string' || this.problems.length > before) return;
    const own = ownInput({ ...fields, input } as LooseTask & { input: JsonObject });
    const templates = this.expressionLength > MAX_EXPRESSIONS ? [] : this.expressions.templates(own, namesOf(fields));
    for (const template of templates) this.expression(path + template.path, task, template);
    for (const problem of this.runners.get(runner)?.(input as JsonObject) ?? []) {
      // What a template results in is seen when it has: then its runner has its say.
      if (!isOfTemplate(templates, problem.path)) this.fault(path + problem.path, problem.message);
    }
  }

  /** The plan of a sub-execution, which knows its own tasks only. */
  subPlan(path: string, { runner, input }: Fields): void {
    if (!isSubExecution({ runner: String(runner) }) || !isObject(input) || !isObject(input['plan'])) return;
    if (this.depth >= MAX_PLAN_DEPTH) return this.fault(path, `more than ${MAX_PLAN_DEPTH} plans within one another`);
    const parser = new Parser(this.runners, this.expressions, this.depth + 1);
    parser.plan(input['plan']);
    for (const problem of parser.problems) this.fault(path + problem.path, problem.message);
  }

  when(path: string, { id: task, when }: Fields): void {
    if (when === undefined) return;
    if (typeof when !== 'string') return this.fault(path, 'must be an expression as text');
    if (this.expressionLength <= MAX_EXPRESSIONS) this.expression(path, task, this.expressions.condition(when));
  }

  forEach(path: string, { id: task, forEach, loop }: Fields): void {
    if (forEach === undefined) return;
    if (loop !== undefined) this.fault(path, 'is not for a task with a loop; let the items be a task of their own');
    if (!isObject(forEach)) return this.fault(path, 'must be an object with items');
    this.only(path, forEach, ['items', 'concurrency', 'failFast']);
    const { items, concurrency, failFast = false } = forEach;
    const place = at(path, 'items');
    this.integer(at(path, 'concurrency'), concurrency, 1, MAX_ITEMS);
    if (typeof failFast !== 'boolean') this.fault(at(path, 'failFast'), 'must be true or false');
    const before = this.problems.length;
    this.json(place, items);
    if (this.problems.length > before) return;
    const templates = typeof items === 'string' || Array.isArray(items) ? this.expressions.templates({ items } as JsonObject) : [];
    for (const template of templates) this.expression(path + template.path, task, template);
    if (!Array.isArray(items)) {
      if (templates.length === 0) this.fault(place, 'must be a list, or a text with a template that results in one');
    } else if (items.length > MAX_ITEMS) this.fault(place, `${items.length} items; at most ${MAX_ITEMS} are allowed`);
    else if (bytesOf(items as Json) > MAX_ITEMS_BYTES) this.fault(place, `more than ${MAX_ITEMS_BYTES} bytes`);
  }

  loop(path: string, { id: task, loop }: Fields): void {
    if (loop === undefined) return;
    if (!isObject(loop)) return this.fault(path, 'must be an object with until and maxIterations');
    this.only(path, loop, ['until', 'maxIterations', 'delayMs']);
    const { until, maxIterations, delayMs } = loop;
    if (maxIterations === undefined) this.fault(at(path, 'maxIterations'), `is required: 1 to ${MAX_ITERATIONS}`);
    this.integer(at(path, 'maxIterations'), maxIterations, 1, MAX_ITERATIONS);
    this.integer(at(path, 'delayMs'), delayMs, 0, MAX_DURATION_MS);
    if (typeof until !== 'string') return this.fault(at(path, 'until'), 'must be an expression as text');
    if (this.expressionLength <= MAX_EXPRESSIONS) this.expression(at(path, 'until'), task, this.expressions.condition(until, LOOP_NAMES));
  }

  expression(path: string, task: unknown, { length, tasks, fault }: Expression): void {
    this.expressionLength += length;
    if (this.expressionLength > MAX_EXPRESSIONS) this.fault(path, `more than ${MAX_EXPRESSIONS} characters of expressions in one plan`);
    if (fault !== undefined) this.fault(path, fault);
    for (const named of tasks) this.references.push({ path, task: String(task), named });
  }

  task(path: string, value: unknown): void {
    if (!isObject(value)) return this.fault(path, 'must be an object');
    const known = ['id', 'runner', 'input', 'dependsOn', 'retry', 'timeoutMs', 'scheduleToStartMs', 'heartbeatMs', 'when', 'compensates', 'artifacts', 'forEach', 'loop', 'onFailure', 'onLost'];
    this.only(path, value, known);
    const { id: taskId, runner, dependsOn = [], retry, timeoutMs, onFailure, onLost } = value;
    if (typeof taskId !== 'string' || !id.test(taskId)) this.fault(at(path, 'id'), `must match ${id.source}`);
    if (typeof runner !== 'string' || !this.runners.has(runner)) {
      this.fault(at(path, 'runner'), `unknown runner; known are ${[...this.runners.keys()].join(', ')}`);
    }
    this.input(at(path, 'input'), value);
    this.subPlan(`${path}/input/plan`, value);
    this.when(at(path, 'when'), value);
    this.forEach(at(path, 'forEach'), value);
    this.loop(at(path, 'loop'), value);
    if (!Array.isArray(dependsOn)) this.fault(at(path, 'dependsOn'), 'must be a list of task ids');
    this.retry(at(path, 'retry'), retry);
    this.integer(at(path, 'timeoutMs'), timeoutMs, 1, MAX_DURATION_MS);
    this.integer(at(path, 'scheduleToStartMs'), value['scheduleToStartMs'], 1, MAX_DURATION_MS);
    this.integer(at(path, 'heartbeatMs'), value['heartbeatMs'], 1, MAX_DURATION_MS);
    this.compensation(path, value);
    this.artifacts(at(path, 'artifacts'), value);
    this.oneOf(at(path, 'onFailure'), onFailure, ['skip', 'stop', 'continue']);
    this.oneOf(at(path, 'onLost'), onLost, ['retry', 'fail']);
  }

  artifacts(path: string, { artifacts, runner }: Fields): void {
    if (artifacts === undefined) return;
    if (runner !== 'command') return this.fault(path, 'is for commands: nothing else has files');
    if (!Array.isArray(artifacts) || artifacts.length > MAX_PATTERNS) return this.fault(path, `must be a list of at most ${MAX_PATTERNS} patterns`);
    artifacts.forEach((pattern: unknown, index) => {
      this.text(at(path, index), pattern, 256);
      const isBelow = typeof pattern !== 'string' || pattern.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
      if (!isBelow) this.fault(at(path, index), 'must be a path below the working directory, such as out/**');
    });
  }

  compensation(path: string, task: Fields): void {
    if (task['compensates'] === undefined) return;
    if (typeof task['compensates'] !== 'string') this.fault(at(path, 'compensates'), 'must be the id of a task');
    for (const other of ['dependsOn', 'when', 'onFailure']) {
      const value = task[other];
      if (value === undefined || (Array.isArray(value) && value.length === 0)) continue;
      this.fault(at(path, other), 'is not for a task that undoes another: that alone decides when it runs');
    }
  }

  /** What undoes is apart from the graph of what is done. */
  compensations(tasks: readonly LooseTask[]): void {
    const known = new Map(tasks.map((task) => [task.id, task]));
    const undone = new Map<string, number>();
    tasks.forEach(({ id: own, compensates, dependsOn = [] }, i) => {
      dependsOn.forEach((dependency, j) => {
        if (known.get(dependency)?.compensates !== undefined) this.fault(`/tasks/${i}/dependsOn/${j}`, `'${dependency}' undoes a task; nothing can depend on it`);
      });
      if (compensates === undefined) return;
      const path = `/tasks/${i}/compensates`;
      const target = known.get(compensates);
      const first = undone.get(compensates);
      if (!target) this.fault(path, `unknown task ${JSON.stringify(compensates).slice(0, 80)}`);
      else if (target.id === own || target.compensates !== undefined) this.fault(path, `'${compensates}' is itself one that undoes a task`);
      else if (first !== undefined) this.fault(path, `/tasks/${first} undoes '${compensates}' already`);
      undone.set(compensates, first ?? i);
    });
  }

  edges(tasks: readonly Fields[]): void {
    const index = new Map<unknown, number>();
    tasks.forEach((task, i) => {
      const first = index.get(task['id']);
      if (first === undefined) index.set(task['id'], i);
      else this.fault(`/tasks/${i}/id`, `duplicate id: /tasks/${first} has it already`);
    });
    tasks.forEach((task, i) => {
      const seen = new Set<unknown>();
      ((task['dependsOn'] ?? []) as unknown[]).forEach((dependency, j) => {
        const path = `/tasks/${i}/dependsOn/${j}`;
        if (!index.has(dependency)) this.fault(path, `unknown task ${JSON.stringify(dependency)?.slice(0, 80)}`);
        else if (seen.has(dependency)) this.fault(path, `${JSON.stringify(dependency)} is listed twice`);
        seen.add(dependency);
      });
    });
    this.childIds(tasks as readonly LooseTask[], index);
    if (this.problems.length > 0) return;
    const cycle = findCycle(tasks as unknown as readonly PlanTask[]);
    if (cycle) {
      const path = `/tasks/${index.get(cycle[0])}/dependsOn`;
      this.fault(path, `cycle: ${cycle.join(' depends on ')}; no task of it could ever start`);
    }
  }

  /** Items and iterations are tasks, whose ids nothing else may have. */
  childIds(tasks: readonly LooseTask[], index: ReadonlyMap<unknown, number>): void {
    const longest = MAX_ID - childId('', MAX_ITEMS - 1).length;
    tasks.forEach((task, i) => {
      if (isExpanded(task) && task.id.length > longest) this.fault(`/tasks/${i}/id`, `more than ${longest} characters, which leaves no room for the ids of its items or iterations`);
      const parent = index.get(/^(.+)--\d+$/.exec(task.id)?.[1]);
      if (parent !== undefined && isExpanded(tasks[parent] ?? {})) this.fault(`/tasks/${i}/id`, `is kept for an item or iteration of /tasks/${parent}`);
    });
  }

  /** A task knows of those only that have ended for certain when it starts. */
  named(tasks: readonly LooseTask[]): void {
    const known = new Map(tasks.map((task) => [task.id, task]));
    const before = (task: string): readonly string[] => {
      const { dependsOn = [], compensates } = known.get(task) ?? {};
      return compensates === undefined ? dependsOn : [compensates];
    };
    for (const { path, task, named } of this.references) {
      if (!known.has(named)) {
        this.fault(path, `names task '${named}', which there is not; an id with a dash is written tasks['an-id']`);
      } else if (!comesAfter(before, task, named)) {
        this.fault(path, `names task '${named}', on which '${task}' does not depend: its result may not be there yet`);
      }
    }
  }

  plan(value: unknown): void {
    if (!isObject(value)) return this.fault('', 'a plan is an object with name and tasks');
    this.only('', value, ['name', 'tasks', 'concurrency', 'timeoutMs']);
    this.text('/name', value['name'], 200);
    this.integer('/concurrency', value['concurrency'], 1, MAX_TASKS);
    this.integer('/timeoutMs', value['timeoutMs'], 1, MAX_DURATION_MS);
    const { tasks } = value;
    if (!Array.isArray(tasks) || tasks.length === 0) return this.fault('/tasks', 'must be a list of at least one task');
    if (tasks.length > MAX_TASKS) return this.fault('/tasks', `${tasks.length} tasks; at most ${MAX_TASKS} are allowed`);
    tasks.forEach((task, i) => this.task(`/tasks/${i}`, task));
    if (this.problems.length === 0) this.edges(tasks as readonly Fields[]);
    if (this.problems.length === 0) this.compensations(tasks as readonly LooseTask[]);
    if (this.problems.length === 0) this.named(tasks as readonly LooseTask[]);
  }
}

const normalPlan = (plan: Plan): Plan => ({ ...plan, tasks: plan.tasks.map(normalTask) });

const normalInput = (input: JsonObject): JsonObject => ({ ...input, plan: normalPlan(planOfChild({ input })) as unknown as JsonObject });

const normalTask = (task: LooseTask): PlanTask => {
  const { id: taskId, runner, input = {}, dependsOn = [] } = task;
  const { retry, timeoutMs, scheduleToStartMs, heartbeatMs, when, compensates, artifacts, forEach, loop, onFailure, onLost } = task;
  return {
    id: taskId,
    runner,
    input: isSubExecution(task) ? normalInput(input) : input,
    dependsOn,
    ...(retry && { retry }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(scheduleToStartMs !== undefined && { scheduleToStartMs }),
    ...(heartbeatMs !== undefined && { heartbeatMs }),
    ...(when !== undefined && { when }),
    ...(compensates !== undefined && { compensates }),
    ...(artifacts !== undefined && artifacts.length > 0 && { artifacts }),
    ...(forEach && { forEach }),
    ...(loop && { loop }),
    ...(onFailure && { onFailure }),
    ...(onLost && { onLost }),
  };
};

/**
 * A plan as it came from outside, checked and with `input` and `dependsOn` of every task present; or its faults, at most
 * 20, each with the path to it.
 */
export const parsePlan = (
  value: unknown,
  runners: RunnerInputs,
  expressions: ExpressionRules = noExpressions,
): { readonly plan: Plan } | { readonly problems: readonly PlanProblem[] } => {
  const parser = new Parser(runners, expressions);
  parser.plan(value);
  if (parser.problems.length > 0) return { problems: parser.problems };
  return { plan: normalPlan(value as Plan) };
};
