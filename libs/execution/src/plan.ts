import type { Json, JsonObject, Plan } from '#libs/contracts';
import { MAX_DURATION_MS, MAX_ITEMS, MAX_ITEMS_BYTES, MAX_ITERATIONS, MAX_PLAN_DEPTH, MAX_TASKS } from './limits.js';
import { type Expression, type ExpressionRules, LOOP_NAMES, MAX_EXPRESSIONS, isOfTemplate, namesOf, noExpressions } from './plan-expressions.js';
import { type Fields, PlanFaults, type PlanProblem, at, isObject } from './plan-faults.js';
import { type Reference, checkGraph } from './plan-graph.js';
import { type LooseTask, normalPlan } from './plan-normal.js';
import { checkRetryPolicy } from './retry-policy.js';
import { isSubExecution, ownInput } from './sub-executions.js';
import { bytesOf } from './task-state.js';
import { isWait } from './waits.js';

/** Per runner name, what is wrong with a task's input; paths are JSON pointers from the input. */
export type RunnerInputs = ReadonlyMap<string, (input: JsonObject) => readonly PlanProblem[]>;

const MAX_PATTERNS = 20;
// The rule of subject tokens: a task's id is one in its output's subject.
const id = /^[A-Za-z0-9_-]{1,64}$/;

const EACH_AN_EXECUTION = "let each item be an execution of its own: the runner execution, with a plan that does the rest and an input of {{ item }}";

class Parser {
  readonly faults = new PlanFaults();
  private expressionLength = 0;
  private readonly references: Reference[] = [];

  constructor(
    private readonly runners: RunnerInputs,
    private readonly expressions: ExpressionRules,
    private readonly depth = 1,
  ) {}

  input(path: string, fields: Fields): void {
    const { id: task, runner, input = {} } = fields;
    if (!isObject(input)) return this.faults.add(path, 'must be an object');
    const before = this.faults.problems.length;
    this.faults.nextInput();
    this.faults.json(path, input);
    if (typeof runner !== 'string' || this.faults.problems.length > before) return;
    const own = ownInput({ ...fields, input } as LooseTask & { input: JsonObject });
    const templates = this.expressionLength > MAX_EXPRESSIONS ? [] : this.expressions.templates(own, namesOf(fields));
    for (const template of templates) this.expression(path + template.path, task, template);
    for (const problem of this.runners.get(runner)?.(input as JsonObject) ?? []) {
      // What a template results in is seen when it has: then its runner has its say.
      if (!isOfTemplate(templates, problem.path)) this.faults.add(path + problem.path, problem.message);
    }
  }

  /** The plan of a sub-execution, which knows its own tasks only. */
  subPlan(path: string, { runner, input }: Fields): void {
    if (!isSubExecution({ runner: String(runner) }) || !isObject(input) || !isObject(input['plan'])) return;
    if (this.depth >= MAX_PLAN_DEPTH) return this.faults.add(path, `more than ${MAX_PLAN_DEPTH} plans within one another; let the tasks of the innermost be tasks of the one around it`);
    const parser = new Parser(this.runners, this.expressions, this.depth + 1);
    parser.plan(input['plan']);
    for (const problem of parser.faults.problems) this.faults.add(path + problem.path, problem.message);
  }

  when(path: string, { id: task, when }: Fields): void {
    if (when === undefined) return;
    if (typeof when !== 'string') return this.faults.add(path, 'must be an expression as text');
    if (this.expressionLength <= MAX_EXPRESSIONS) this.expression(path, task, this.expressions.condition(when));
  }

  forEach(path: string, { id: task, forEach, loop }: Fields): void {
    if (forEach === undefined) return;
    if (loop !== undefined) this.faults.add(path, `is not for a task with a loop; ${EACH_AN_EXECUTION}`);
    if (!isObject(forEach)) return this.faults.add(path, 'must be an object with items');
    if ('forEach' in forEach) this.faults.add(at(path, 'forEach'), `there is no fan-out within a fan-out; make one list of all with an expression, or ${EACH_AN_EXECUTION}`);
    else this.faults.only(path, forEach, ['items', 'concurrency', 'failFast']);
    const { items, concurrency, failFast = false } = forEach;
    const place = at(path, 'items');
    this.faults.integer(at(path, 'concurrency'), concurrency, 1, MAX_ITEMS);
    if (typeof failFast !== 'boolean') this.faults.add(at(path, 'failFast'), 'must be true or false');
    const before = this.faults.problems.length;
    this.faults.json(place, items);
    if (this.faults.problems.length > before) return;
    const templates = typeof items === 'string' || Array.isArray(items) ? this.expressions.templates({ items } as JsonObject) : [];
    for (const template of templates) this.expression(path + template.path, task, template);
    if (!Array.isArray(items)) {
      const [template] = templates;
      if (!template) this.faults.add(place, 'must be a list, or a text with a template that results in one');
      else if (template.kind !== undefined && template.kind !== 'a list') {
        this.faults.add(place, `results in ${template.kind}, where it must be a list; let it be one template and nothing beside it, such as {{ tasks.<id>.result.<name> }}`);
      }
    } else if (items.length > MAX_ITEMS) this.faults.add(place, `${items.length} items; at most ${MAX_ITEMS} are allowed: have each of them stand for several`);
    else if (bytesOf(items as Json) > MAX_ITEMS_BYTES) this.faults.add(place, `more than ${MAX_ITEMS_BYTES} bytes`);
  }

  loop(path: string, { id: task, loop }: Fields): void {
    if (loop === undefined) return;
    if (!isObject(loop)) return this.faults.add(path, 'must be an object with until and maxIterations');
    this.faults.only(path, loop, ['until', 'maxIterations', 'delayMs']);
    const { until, maxIterations, delayMs } = loop;
    if (maxIterations === undefined) this.faults.add(at(path, 'maxIterations'), `is required: 1 to ${MAX_ITERATIONS}`);
    this.faults.integer(at(path, 'maxIterations'), maxIterations, 1, MAX_ITERATIONS);
    this.faults.integer(at(path, 'delayMs'), delayMs, 0, MAX_DURATION_MS);
    if (typeof until !== 'string') return this.faults.add(at(path, 'until'), 'must be an expression as text');
    if (this.expressionLength <= MAX_EXPRESSIONS) this.expression(at(path, 'until'), task, this.expressions.condition(until, LOOP_NAMES));
  }

  expression(path: string, task: unknown, { length, tasks, fault }: Expression): void {
    this.expressionLength += length;
    if (this.expressionLength > MAX_EXPRESSIONS) this.faults.add(path, `more than ${MAX_EXPRESSIONS} characters of expressions in one plan`);
    if (fault !== undefined) this.faults.add(path, fault);
    for (const named of tasks) this.references.push({ path, task: String(task), named });
  }

  task(path: string, value: unknown): void {
    if (!isObject(value)) return this.faults.add(path, 'must be an object');
    const known = ['id', 'runner', 'input', 'dependsOn', 'retry', 'timeoutMs', 'scheduleToStartMs', 'heartbeatMs', 'when', 'compensates', 'artifacts', 'forEach', 'loop', 'onFailure', 'onLost'];
    this.faults.only(path, value, known);
    const { id: taskId, runner, dependsOn = [], retry, timeoutMs, onFailure, onLost } = value;
    if (typeof taskId !== 'string' || !id.test(taskId)) this.faults.add(at(path, 'id'), `must match ${id.source}`);
    if (typeof runner !== 'string' || !this.runners.has(runner)) {
      this.faults.add(at(path, 'runner'), `unknown runner; known are ${[...this.runners.keys()].join(', ')}`);
    }
    this.input(at(path, 'input'), value);
    this.subPlan(`${path}/input/plan`, value);
    this.when(at(path, 'when'), value);
    this.forEach(at(path, 'forEach'), value);
    this.loop(at(path, 'loop'), value);
    if (!Array.isArray(dependsOn)) this.faults.add(at(path, 'dependsOn'), 'must be a list of task ids');
    checkRetryPolicy(this.faults, at(path, 'retry'), retry);
    this.faults.integer(at(path, 'timeoutMs'), timeoutMs, 1, MAX_DURATION_MS);
    this.faults.integer(at(path, 'scheduleToStartMs'), value['scheduleToStartMs'], 1, MAX_DURATION_MS);
    this.faults.integer(at(path, 'heartbeatMs'), value['heartbeatMs'], 1, MAX_DURATION_MS);
    if (value['heartbeatMs'] !== undefined && isWait({ runner: String(runner) })) {
      this.faults.add(at(path, 'heartbeatMs'), `is not for the runner ${String(runner)}, in which nothing runs that could fall silent; bound it by timeoutMs`);
    }
    this.compensation(path, value);
    this.artifacts(at(path, 'artifacts'), value);
    this.faults.oneOf(at(path, 'onFailure'), onFailure, ['skip', 'stop', 'continue']);
    this.faults.oneOf(at(path, 'onLost'), onLost, ['retry', 'fail']);
  }

  artifacts(path: string, { artifacts, runner }: Fields): void {
    if (artifacts === undefined) return;
    if (runner !== 'command') return this.faults.add(path, 'is for commands: nothing else has files');
    if (!Array.isArray(artifacts) || artifacts.length > MAX_PATTERNS) return this.faults.add(path, `must be a list of at most ${MAX_PATTERNS} patterns`);
    artifacts.forEach((pattern: unknown, index) => {
      this.faults.text(at(path, index), pattern, 256);
      const isBelow = typeof pattern !== 'string' || pattern.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
      if (!isBelow) this.faults.add(at(path, index), 'must be a path below the working directory, such as out/**');
    });
  }

  compensation(path: string, task: Fields): void {
    if (task['compensates'] === undefined) return;
    if (typeof task['compensates'] !== 'string') this.faults.add(at(path, 'compensates'), 'must be the id of a task');
    for (const other of ['dependsOn', 'when', 'onFailure']) {
      const value = task[other];
      if (value === undefined || (Array.isArray(value) && value.length === 0)) continue;
      this.faults.add(at(path, other), 'is not for a task that undoes another: that alone decides when it runs');
    }
  }

  plan(value: unknown): void {
    if (!isObject(value)) return this.faults.add('', 'a plan is an object with name and tasks');
    this.faults.only('', value, ['name', 'tasks', 'concurrency', 'timeoutMs', 'logArtifact']);
    this.faults.text('/name', value['name'], 200);
    this.faults.integer('/concurrency', value['concurrency'], 1, MAX_TASKS);
    this.faults.integer('/timeoutMs', value['timeoutMs'], 1, MAX_DURATION_MS);
    const { tasks, logArtifact = false } = value;
    if (typeof logArtifact !== 'boolean') this.faults.add('/logArtifact', 'must be true or false');
    if (!Array.isArray(tasks) || tasks.length === 0) return this.faults.add('/tasks', 'must be a list of at least one task');
    if (tasks.length > MAX_TASKS) return this.faults.add('/tasks', `${tasks.length} tasks; at most ${MAX_TASKS} are allowed`);
    tasks.forEach((task, i) => this.task(`/tasks/${i}`, task));
    if (!this.faults.any) checkGraph(this.faults, tasks as readonly LooseTask[], this.references);
  }
}

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
  if (parser.faults.any) return { problems: parser.faults.problems };
  return { plan: normalPlan(value as Plan) };
};
