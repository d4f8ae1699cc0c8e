import { ExpressionError } from './expression-error.js';
import { noOverload } from './explain.js';
import { type Expr, kindOfCall, parsed, partsOf, pathOf } from './language.js';

/** What is known of a value before there is one. */
export type Kind = 'int' | 'double' | 'string' | 'bool' | 'list' | 'map' | 'null_type';

/** A value of each kind: whether a function takes it goes by the kind alone. */
const samples: Readonly<Record<Kind, Expr>> = {
  int: parsed('1'),
  double: parsed('1.5'),
  string: parsed("'a'"),
  bool: parsed('true'),
  list: parsed('[]'),
  map: parsed('{}'),
  null_type: parsed('null'),
};
const numbers: ReadonlySet<Kind> = new Set(['int', 'double']);
const statuses: readonly string[] = ['pending', 'running', 'completed', 'failed', 'skipped', 'cancelled'];

const isKind = (name: string): name is Kind => Object.hasOwn(samples, name);

const kindAt = ([root = '', first, second, ...more]: readonly string[], names: ReadonlySet<string>): Kind | undefined => {
  if (names.has(root)) return first !== undefined ? undefined : root === 'index' || root === 'iteration' ? 'int' : root === 'result' ? 'map' : undefined;
  if (root === 'attempt') return first === undefined ? 'int' : undefined;
  if (root === 'input') return first === undefined ? 'map' : undefined;
  if (more.length > 0) return undefined;
  if (root === 'tasks' && second !== undefined) return second === 'status' ? 'string' : 'map';
  if (root !== 'execution') return undefined;
  if (first === 'labels') return second === undefined ? 'map' : 'string';
  return first === undefined ? 'map' : second === undefined ? 'string' : undefined;
};

const textOf = ({ exprKind: { case: kind, value } }: Expr): string | undefined =>
  kind === 'constExpr' && value.constantKind.case === 'stringValue' ? value.constantKind.value : undefined;

const isStatus = (expr: Expr, own: ReadonlySet<string>): boolean => {
  const path = pathOf(expr);
  return path?.[0] === 'tasks' && path[2] === 'status' && path.length === 3 && !own.has('tasks');
};

/** What is wrong with a status is right in type, never true, and seen by nobody. */
const checkStatus = (expr: Expr, compared: readonly Expr[], own: ReadonlySet<string>): void => {
  const wrong = isStatus(expr, own) ? compared.map(textOf).find((text) => text !== undefined && !statuses.includes(text)) : undefined;
  if (wrong !== undefined) throw new ExpressionError(`compares a status with '${wrong}', which it never is; it is one of ${statuses.slice(2).join(', ')}`);
};

const compare = (name: string, [left, right]: readonly Expr[], kinds: readonly (Kind | undefined)[], own: ReadonlySet<string>): void => {
  if (!left || !right) return;
  checkStatus(left, [right], own);
  checkStatus(right, [left], own);
  const [a, b] = kinds;
  if (!a || !b || a === b || a === 'null_type' || b === 'null_type' || (numbers.has(a) && numbers.has(b))) return;
  throw new ExpressionError(`${noOverload(name, [a, b])}: they are never equal`);
};

const known = new Map<string, Kind | undefined>();

const ofCall = (name: string, target: Kind | undefined, args: readonly Kind[]): Kind | undefined => {
  const key = `${name} ${target} ${args.join()}`;
  const cached = known.get(key);
  if (cached || known.has(key)) return cached;
  const kind = kindOfCall(name, target && samples[target], args.map((arg) => samples[arg]));
  if (kind === undefined) throw new ExpressionError(noOverload(name, [...(target ? [target] : []), ...args]));
  const result = isKind(kind) ? kind : undefined;
  known.set(key, result);
  return result;
};

const mustBeBool = (name: string, kinds: readonly (Kind | undefined)[]): void => {
  const wrong = kinds.find((kind) => kind !== undefined && kind !== 'bool');
  if (wrong) throw new ExpressionError(noOverload(name, [wrong]));
};

/** The kind of value that an expression results in, whatever is in scope; undefined where that depends. Throws ExpressionError for one that can't result in any. */
export const kindOf = (expr: Expr, names: ReadonlySet<string>, own: ReadonlySet<string> = new Set()): Kind | undefined => {
  const path = pathOf(expr);
  const { case: kind, value } = expr.exprKind;
  if (kind === 'selectExpr' && value.testOnly) return 'bool';
  if (path) return own.has(path[0] ?? '') ? undefined : kindAt(path, names);
  const inner = kind === 'comprehensionExpr' ? new Set([...own, value.iterVar, value.iterVar2, value.accuVar]) : own;
  const kinds = partsOf(expr).map((part) => kindOf(part, names, inner));
  switch (kind) {
    case 'constExpr':
      return constantKind(value.constantKind.case);
    case 'listExpr':
      return 'list';
    case 'structExpr':
      return 'map';
    case 'callExpr':
      return ofExpression(value, kinds, own);
    case 'selectExpr':
    case 'comprehensionExpr':
    case 'identExpr':
    case undefined:
      return undefined;
  }
};

type Call = Extract<Expr['exprKind'], { readonly case: 'callExpr' }>['value'];

const ofExpression = ({ function: name, args, target }: Call, kinds: readonly (Kind | undefined)[], own: ReadonlySet<string>): Kind | undefined => {
  if (name === '_&&_' || name === '_||_') mustBeBool(name, kinds);
  if (name === '_?_:_') {
    mustBeBool(name, kinds.slice(0, 1));
    return kinds[1] === kinds[2] ? kinds[1] : undefined;
  }
  if (name === '_==_' || name === '_!=_') compare(name, args, kinds, own);
  const [first, list] = args;
  if (name === '@in' && first && list) checkStatus(first, partsOf(list), own);
  const certain = kinds.filter((found) => found !== undefined);
  if (certain.length < kinds.length) return ['_&&_', '_||_', '_==_', '_!=_', '!_', '@in'].includes(name) ? 'bool' : undefined;
  return target ? ofCall(name, certain[0], certain.slice(1)) : ofCall(name, undefined, certain);
};

const constantKind = (name: string | undefined): Kind | undefined => {
  const kind = name?.replace('64', '').replace('Value', '') ?? '';
  return kind === 'null' ? 'null_type' : isKind(kind) ? kind : undefined;
};
