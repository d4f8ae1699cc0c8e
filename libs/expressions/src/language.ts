import { type CelFunc, type CelInput, type CelValue, CelScalar, celEnv, celFunc, celType, isCelError, isCelList, isCelMap, parse, plan } from '@bufbuild/cel';
import type { Json } from '#libs/contracts';
import { BudgetSpent, spend, withBudget } from './budget.js';
import { explained } from './explain.js';
import { ExpressionError } from './expression-error.js';
import { ownFunctions } from './functions.js';
import { fromJson, toJson } from './values.js';

export type Expr = ReturnType<typeof parse>['expr'];

/** Characters of one expression. */
const MAX_LENGTH = 2_000;
/** Compiled expressions kept for their next use. */
const MAX_COMPILED = 1_000;
/** Functions of our own that no text can name: of one value, which they return. */
const TURN = '@turn';
const LOOK = '@look';
/** Paid for by the function itself, or by nothing that grows. */
const isCheap = ({ name, id }: CelFunc): boolean => name === TURN || id === '_+_(list,list)';
/** What a call costs by what it looks at. */
const priceOf = (value: CelValue | undefined): number => {
  if (typeof value === 'string') return value.length >> 6;
  return isCelList(value) || isCelMap(value) ? value.size >> 4 : 0;
};

/** The function, paid for. One that its arguments are not for returns undefined, and the next of its name is tried. */
const paid = (original: CelFunc): CelFunc => {
  const result = Object.create(original) as { -readonly [K in keyof CelFunc]: CelFunc[K] };
  result.call = (id, target, args) => {
    const value = original.call(id, target, args);
    if (value !== undefined) spend(isCheap(original) ? 1 : args.reduce<number>((steps, arg) => steps + priceOf(arg), 1 + priceOf(target)));
    return value;
  };
  return result;
};

const functions = [...celEnv({ funcs: ownFunctions }).funcs, ...[TURN, LOOK].map((name) => celFunc(name, [CelScalar.DYN], CelScalar.DYN, (value) => value))];
const environment = celEnv({ funcs: functions.map(paid) });

export const isFunction = (name: string): boolean => environment.funcs.find(name) !== undefined;

const calling = (name: string, arg: Expr): Expr => ({
  ...arg,
  exprKind: { case: 'callExpr', value: { $typeName: 'cel.expr.Expr.Call', function: name, args: [arg] } },
});

/** Operators that the language evaluates itself, and that look at all of what they compare. */
const comparing = new Set(['_==_', '_!=_', '@in']);

/** Every expression below this one. */
export const partsOf = ({ exprKind }: Expr): Expr[] => {
  const { case: kind, value } = exprKind;
  const parts = (): (Expr | undefined)[] => {
    switch (kind) {
      case 'selectExpr':
        return [value.operand];
      case 'callExpr':
        return [value.target, ...value.args];
      case 'listExpr':
        return value.elements;
      case 'structExpr':
        return value.entries.flatMap((entry) => [entry.keyKind.case === 'mapKey' ? entry.keyKind.value : undefined, entry.value]);
      case 'comprehensionExpr':
        return [value.iterRange, value.accuInit, value.loopCondition, value.loopStep, value.result];
      case 'constExpr':
      case 'identExpr':
      case undefined:
        return [];
    }
  };
  return parts().filter((part): part is Expr => part !== undefined);
};

/** The names and constant keys that lead to a value, from a name on; undefined for what is computed. */
export const pathOf = ({ exprKind: { case: kind, value } }: Expr): readonly string[] | undefined => {
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

/** Has loops and comparisons pay, too. */
const meter = (expr: Expr): void => {
  for (const part of partsOf(expr)) meter(part);
  const { case: kind, value } = expr.exprKind;
  if (kind === 'comprehensionExpr' && value.loopStep) value.loopStep = calling(TURN, value.loopStep);
  if (kind === 'callExpr' && comparing.has(value.function)) value.args = value.args.map((arg) => calling(LOOK, arg));
};

/** The kind of what a call results in; undefined where no function of the name is for what it is given. */
export const kindOfCall = (name: string, target: Expr | undefined, args: readonly Expr[]): string | undefined => {
  const call: Expr = { $typeName: 'cel.expr.Expr', id: 0n, exprKind: { case: 'callExpr', value: { $typeName: 'cel.expr.Expr.Call', function: name, args: [...args], ...(target && { target }) } } };
  try {
    const value = withBudget(() => plan(environment, call)({}));
    if (!isCelError(value)) return celType(value).name;
    return value.message.startsWith('found no matching overload') ? undefined : '';
  } catch {
    // One that these samples are not for, as of the right kind as they are.
    return '';
  }
};

/** What may have been meant where the text can not be read on. */
const meant: readonly (readonly [RegExp, string])[] = [
  [/^=/, 'compare with =='],
  [/^(and|or|not)\b/, 'write && for and, || for or, ! for not'],
  [/^\|(?!\|)/, 'there are no filters; call functions, as in x.lowerAscii()'],
  [/^['"]/, 'the text that begins there has no end'],
  [/^[-+*/%<>&|!?:.,([{]/, 'what follows it is missing, or not complete'],
];

const syntaxFault = (text: string, message: string): string => {
  const [, line = '1', column = '1', found = ''] = /^<input>:(\d+):(\d+): (found .*?) but expecting/s.exec(message) ?? [];
  if (found === '') return `is no expression: ${message.replace(/^<input>:/, 'at ')}`;
  const rest = text.split('\n')[Number(line) - 1]?.slice(Number(column) - 1) ?? '';
  const hint = meant.find(([pattern]) => pattern.test(rest))?.[1] ?? 'it is written in CEL, cel.dev; text stands in quotes';
  return `is no expression: at ${line}:${column}: ${found}; ${hint}`;
};

/** Throws ExpressionError with what is wrong and where in the text. */
export const parsed = (text: string): Expr => {
  if (text.trim() === '') throw new ExpressionError("is empty; write what it is to result in, such as input.x or 'text'");
  if (text.length > MAX_LENGTH) throw new ExpressionError(`has ${text.length} characters; at most ${MAX_LENGTH} are allowed: let a task compute a part of it`);
  try {
    return parse(text).expr;
  } catch (error) {
    if (error instanceof RangeError) throw new ExpressionError('is nested too deeply; let a task compute a part of it');
    throw new ExpressionError(syntaxFault(text, (error as Error).message));
  }
};

type Program = ReturnType<typeof plan>;
const compiled = new Map<string, Program>();

const programOf = (text: string): Program => {
  const known = compiled.get(text);
  if (known) return known;
  const expr = parsed(text);
  meter(expr);
  const program = plan(environment, expr);
  if (compiled.size >= MAX_COMPILED) compiled.clear();
  compiled.set(text, program);
  return program;
};

/** What is named again and again is converted once. */
const converted = new WeakMap<object, CelInput>();

export const inputOf = (value: Json): CelInput => {
  if (typeof value !== 'object' || value === null) return fromJson(value);
  const known = converted.get(value) ?? fromJson(value);
  converted.set(value, known);
  return known;
};

/** The path that an expression writes to a member of this name, up to there. */
const pathTo = (expr: Expr, field: string): string | undefined => {
  const path = pathOf(expr);
  const end = path?.indexOf(field, 1) ?? -1;
  if (path && end > 0) return path.slice(0, end + 1).reduce((before, name) => (/^[A-Za-z_]\w*$/.test(name) ? `${before}.${name}` : `${before}['${name}']`));
  return partsOf(expr).reduce<string | undefined>((found, part) => found ?? pathTo(part, field), undefined);
};

/** The value of an expression, by the names in scope alone. Throws ExpressionError. */
export const evaluate = (text: string, scope: Readonly<Record<string, CelInput>>): Json => {
  const program = programOf(text);
  const failure = (message: string): ExpressionError => new ExpressionError(explained(message, (field) => pathTo(parsed(text), field)));
  try {
    return withBudget(() => {
      const result = program(scope);
      if (!isCelError(result)) return toJson(result);
      throw result.cause instanceof BudgetSpent ? result.cause : failure(result.message);
    });
  } catch (error) {
    if (error instanceof ExpressionError) throw error;
    if (error instanceof BudgetSpent) throw new ExpressionError(`takes too long: ${error.message}; look at less, or let a task compute it`);
    throw failure((error as Error).message);
  }
};
