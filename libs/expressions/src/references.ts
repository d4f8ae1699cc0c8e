import { ExpressionError } from './expression-error.js';
import { type Expr, isFunction, parsed, partsOf } from './language.js';

/** Names that stand for types, as in `type(x) == int`. */
const types = new Set(['bool', 'bytes', 'double', 'int', 'list', 'map', 'null_type', 'string', 'type', 'uint']);
const ofExecution = new Set(['id', 'name', 'labels']);
const ofTask = new Set(['result', 'status']);

/** The names and constant keys that lead to a value, from a name on; undefined for what is computed. */
const pathOf = ({ exprKind: { case: kind, value } }: Expr): readonly string[] | undefined => {
  if (kind === 'identExpr') return [value.name];
  if (kind === 'selectExpr') {
    const path = value.operand && pathOf(value.operand);
    return path && [...path, value.field];
  }
  if (kind !== 'callExpr' || value.function !== '_[_]') return undefined;
  const [operand, key] = value.args;
  const path = operand && pathOf(operand);
  const constant = key?.exprKind.case === 'constExpr' ? key.exprKind.value.constantKind : undefined;
  return path && constant?.case === 'stringValue' ? [...path, constant.value] : undefined;
};

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
      throw new ExpressionError("names no task's result or status: tasks.<id>.result, tasks['an-id'].status");
    default:
      if (types.has(root)) return undefined;
      throw new ExpressionError(`names '${root}', which there is not; there are ${['input', 'tasks', 'execution', ...names].join(', ')} and attempt`);
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
    throw new ExpressionError(`calls ${value.function}(), which there is not`);
  }
  if (kind === 'structExpr' && value.messageName !== '') throw new ExpressionError(`makes a ${value.messageName}, which there is not`);
  const inner = kind === 'comprehensionExpr' ? new Set([...own, value.iterVar, value.iterVar2, value.accuVar]) : own;
  for (const part of partsOf(expr)) visit(part, inner, names, found);
};

/** The tasks that an expression refers to, which may name these beside what every one may. Throws ExpressionError for one that can't be evaluated, whatever is in scope. */
export const tasksIn = (text: string, names: readonly string[] = []): readonly string[] => {
  const found = new Set<string>();
  visit(parsed(text), new Set(), new Set(names), found);
  return [...found];
};
