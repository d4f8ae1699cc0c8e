import type { JsonObject } from '#libs/contracts';

/** What one expression, or a text with several, says of itself. */
export type Expression = {
  /** JSON pointer from the input that it stands in; '' for a condition. */
  readonly path: string;
  /** In characters. */
  readonly length: number;
  /** Tasks that it refers to. */
  readonly tasks: readonly string[];
  /** What it results in, in words, as far as that is known. */
  readonly kind?: string | undefined;
  readonly fault: string | undefined;
};

/** The language of a plan's conditions and templates; the core has none of its own. `names` are known beside those that always are. */
export type ExpressionRules = {
  condition(text: string, names?: readonly string[]): Expression;
  /** One for each text in a task's input that holds any. */
  templates(input: JsonObject, names?: readonly string[]): readonly Expression[];
};

/** For plans in which no text is more than a text. */
export const noExpressions: ExpressionRules = {
  condition: () => ({ path: '', length: 0, tasks: [], fault: 'conditions are not known here' }),
  templates: () => [],
};

/** What an item's, or an iteration's, input may name beside. */
export const namesOf = ({ forEach, loop }: { readonly forEach?: unknown; readonly loop?: unknown }): readonly string[] =>
  forEach === undefined ? (loop === undefined ? [] : LOOP_NAMES) : ITEM_NAMES;

const ITEM_NAMES = ['item', 'index'];
export const LOOP_NAMES = ['iteration', 'result'];

/** Characters of all expressions of one plan. */
export const MAX_EXPRESSIONS = 100_000;

/** True for a fault that is one of the template's text, not of its value, which is not known yet. */
export const isOfTemplate = (templates: readonly Expression[], path: string): boolean =>
  templates.some((template) => path === template.path || path.startsWith(`${template.path}/`));

/** True where `task` can only start after `other` has ended. */
export const comesAfter = (before: (id: string) => readonly string[], task: string, other: string): boolean => {
  const seen = new Set<string>();
  const queue = [...before(task)];
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    if (id === other) return true;
    if (seen.has(id)) continue;
    seen.add(id);
    queue.push(...before(id));
  }
  return false;
};
