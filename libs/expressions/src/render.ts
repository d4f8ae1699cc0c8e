import type { CelInput } from '@bufbuild/cel';
import type { Json, JsonObject } from '#libs/contracts';
import { withBudget } from './budget.js';
import { ExpressionError } from './expression-error.js';
import { evaluate, inputOf, parsed } from './language.js';
import { tasksOf } from './references.js';
import { type Part, mapTexts, templateOf } from './template.js';

/** What expressions can name. */
export type Scope = {
  readonly input: JsonObject;
  readonly execution: { readonly id: string; readonly name: string; readonly labels: Readonly<Record<string, string>> };
  /** 1, 2, 3 …: the attempt that is to start. */
  readonly attempt: number;
  /** Known beside: what an item or an iteration is. */
  readonly names?: JsonObject;
  /** Asked for the tasks that an expression names only. */
  readonly task: (id: string) => { readonly result: JsonObject; readonly status: string } | undefined;
};

/** Characters of JSON that templates may result in. */
const MAX_CHARACTERS = 256 * 1024;

const valueOf = (text: string, { input, execution, attempt, names = {}, task }: Scope): Json => {
  const tasks = tasksOf(parsed(text), Object.keys(names)).flatMap((id): [string, CelInput][] => {
    const known = task(id);
    return known ? [[id, new Map([['result', inputOf(known.result)], ['status', known.status]])]] : [];
  });
  const own = Object.fromEntries(Object.entries(names).map(([name, value]) => [name, inputOf(value)]));
  return evaluate(text, { ...own, input: inputOf(input), execution: inputOf(execution), attempt: inputOf(attempt), tasks: new Map(tasks) });
};

const at = <T>(place: string, work: () => T): T => {
  try {
    return work();
  } catch (error) {
    if (error instanceof ExpressionError) throw new ExpressionError(`${place} ${error.message}`);
    throw error;
  }
};

/** True or false; `place` is what an error says of where the expression stands. Throws ExpressionError, also for a value that is neither. */
export const conditionHolds = (text: string, scope: Scope, place = 'when'): boolean =>
  at(place, () => {
    const value = valueOf(text, scope);
    if (typeof value !== 'boolean') throw new ExpressionError('results in neither true nor false; compare it with something');
    return value;
  });

const textOf = (value: Json): string => (typeof value === 'string' ? value : JSON.stringify(value));

const rendered = (parts: readonly Part[], scope: Scope): Json => {
  const [first, ...others] = parts;
  // A text that is one template and nothing else is the value itself, with its type.
  if (first && 'expression' in first && others.length === 0) return valueOf(first.expression, scope);
  return parts.map((part) => ('text' in part ? part.text : textOf(valueOf(part.expression, scope)))).join('');
};

export const hasTemplates = (input: JsonObject): boolean => JSON.stringify(input).includes('{{');

/** The input with every template in it evaluated. Throws ExpressionError with the path to the one that failed. */
export const renderInput = (input: JsonObject, scope: Scope, place = 'input'): JsonObject => {
  if (!hasTemplates(input)) return input;
  let characters = 0;
  const render = (text: string, path: string): Json =>
    at(`${place}${path}`, () => {
      const parts = templateOf(text);
      if (!parts) return text;
      const value = rendered(parts, scope);
      characters += JSON.stringify(value).length;
      if (characters > MAX_CHARACTERS) throw new ExpressionError(`makes the input longer than ${MAX_CHARACTERS} characters; name only what is needed, or hand on a file`);
      return value;
    });
  return withBudget(() => mapTexts(input, render)) as JsonObject;
};
