import type { JsonObject } from '#libs/contracts';
import { ExpressionError } from './expression-error.js';
import { kindNamed } from './explain.js';
import { kindOf } from './kinds.js';
import { parsed } from './language.js';
import { tasksOf } from './references.js';
import { mapTexts, templateOf } from './template.js';

/** One expression of a plan, or a text with several. */
type Analysis = {
  /** JSON pointer from where it was looked for. */
  readonly path: string;
  readonly length: number;
  /** Tasks that it refers to. */
  readonly tasks: readonly string[];
  /** What it results in, in words, as far as that is known. */
  readonly kind: string | undefined;
  /** Why it can't be evaluated. */
  readonly fault: string | undefined;
};

type Found = Pick<Analysis, 'tasks' | 'kind'>;

const analysed = (path: string, text: string, look: () => Found): Analysis => {
  try {
    return { path, length: text.length, ...look(), fault: undefined };
  } catch (error) {
    if (error instanceof ExpressionError) return { path, length: text.length, tasks: [], kind: undefined, fault: error.message };
    throw error;
  }
};

/** The tasks that an expression names, and what it results in. Throws ExpressionError, also where no value can come of it. */
const checked = (text: string, names: readonly string[] = [], isCondition = false): Found => {
  const expr = parsed(text);
  const tasks = tasksOf(expr, names);
  const kind = kindOf(expr, new Set(names));
  if (isCondition && kind !== undefined && kind !== 'bool') throw new ExpressionError(`results in ${kindNamed(kind)}, where it must be true or false; compare it with something`);
  return { tasks, kind: kind && kindNamed(kind) };
};

/** What a plan's conditions and templates say, without evaluating any. */
export const expressionRules = {
  condition: (text: string, names?: readonly string[]): Analysis => analysed('', text, () => checked(text, names, true)),

  /** One for each text in a task's input that is a template. */
  templates: (input: JsonObject, names?: readonly string[]): readonly Analysis[] => {
    const found: Analysis[] = [];
    mapTexts(input, (text, path) => {
      if (!text.includes('{{')) return text;
      const look = (): Found => {
        const parts = templateOf(text) ?? [];
        const [first, ...others] = parts.map((part) => ('expression' in part ? checked(part.expression, names) : { tasks: [], kind: 'text' }));
        return { tasks: [first, ...others].flatMap((part) => part?.tasks ?? []), kind: others.length > 0 ? 'text' : first?.kind };
      };
      found.push(analysed(path, text, look));
      return text;
    });
    return found;
  },
};
