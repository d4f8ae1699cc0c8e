import { ExpressionError } from './expression-error.js';
import { ownFunctions } from './functions.js';
import { type Expr, isFunction, partsOf, pathOf } from './language.js';

/** Names that stand for types, as in `type(x) == int`. */
const types = new Set(['bool', 'bytes', 'double', 'int', 'list', 'map', 'null_type', 'string', 'type', 'uint']);
const ofExecution = new Set(['id', 'name', 'labels']);
const ofTask = new Set(['result', 'status']);
const ofItems = '; item and index are for the input of a task with forEach, and what a plan within it is to know of them its input says';
const ofLoops = '; iteration and result are for the input of a task with loop, and its until; what came of another task is tasks.<id>.result';
const noSecret = '; a secret is no part of an expression: an input names it, {"$secret": "name"}';
/** What somebody who writes such a name may be looking for. */
const hints: ReadonlyMap<string, string> = new Map([
  ['item', ofItems],
  ['index', ofItems],
  ['iteration', ofLoops],
  ['result', ofLoops],
  ['task', '; a task is named tasks.<id>'],
  ['inputs', '; the input of the execution is input'],
  ['secret', noSecret],
  ['secrets', noSecret],
  ['env', noSecret],
]);
/** Functions and macros that plans use; the language has some more. */
const callable = ['size', 'has', 'all', 'exists', 'map', 'filter', 'matches', 'contains', 'startsWith', 'endsWith', 'string', 'int', 'double', ...new Set(ownFunctions.map(({ name }) => name).filter((name) => /^\w+$/.test(name) && !name.startsWith('_')))];

/** The task that a path refers to. Throws ExpressionError for a path that leads nowhere. */
const taskAt = ([root = '', first, second]: readonly string[], names: ReadonlySet<string>): string | undefined => {
  if (names.has(root)) return undefined;
  switch (root) {
    case 'input':
    case 'attempt':
      return undefined;
    case 'execution':
      if (first === undefined || ofExecution.has(first)) return undefined;
      throw new ExpressionError(`names execution.${first}; there are id, name and labels`);
    case 'tasks':
      if (first !== undefined && second !== undefined && ofTask.has(second)) return first;
      throw new ExpressionError("names no task's result or status; write tasks.<id>.result or tasks['an-id'].status");
    default:
      if (types.has(root)) return undefined;
      throw new ExpressionError(`names '${root}', which there is not; there are ${['input', 'tasks', 'execution', ...names].join(', ')} and attempt${hints.get(root) ?? '; text stands in quotes'}`);
  }
};

const visit = (expr: Expr, own: ReadonlySet<string>, names: ReadonlySet<string>, found: Set<string>): void => {
  const path = pathOf(expr);
  if (path) {
    const task = own.has(path[0] ?? '') ? undefined : taskAt(path, names);
    if (task !== undefined) found.add(task);
    return;
  }
  const { case: kind, value } = expr.exprKind;
  if (kind === 'callExpr' && /^[a-z]/i.test(value.function) && !isFunction(value.function)) {
    throw new ExpressionError(`calls ${value.function}(), which there is not; there are ${callable.join(', ')}`);
  }
  if (kind === 'structExpr' && value.messageName !== '') throw new ExpressionError(`makes a ${value.messageName}, which there is not; an object is written {'key': value}`);
  const inner = kind === 'comprehensionExpr' ? new Set([...own, value.iterVar, value.iterVar2, value.accuVar]) : own;
  for (const part of partsOf(expr)) visit(part, inner, names, found);
};

/** The tasks that an expression refers to, which may name these beside what every one may. Throws ExpressionError for one that can't be evaluated, whatever is in scope. */
export const tasksOf = (expr: Expr, names: readonly string[] = []): readonly string[] => {
  const found = new Set<string>();
  visit(expr, new Set(), new Set(names), found);
  return [...found];
};
