import type { JsonObject } from '#libs/contracts';
import { ExpressionError } from './expression-error.js';
import { tasksIn } from './references.js';
import { mapTexts, templateOf } from './template.js';

/** One expression of a plan, or a text with several. */
type Analysis = {
  /** JSON pointer from where it was looked for. */
  readonly path: string;
  readonly length: number;
  /** Tasks that it refers to. */
  readonly tasks: readonly string[];
  /** Why it can't be evaluated. */
  readonly fault: string | undefined;
};

const analysed = (path: string, text: string, tasks: () => readonly string[]): Analysis => {
  try {
    return { path, length: text.length, tasks: tasks(), fault: undefined };
  } catch (error) {
    if (error instanceof ExpressionError) return { path, length: text.length, tasks: [], fault: error.message };
    throw error;
  }
};

/** What a plan's conditions and templates say, without evaluating any. */
export const expressionRules = {
  condition: (text: string, names?: readonly string[]): Analysis => analysed('', text, () => tasksIn(text, names)),

  /** One for each text in a task's input that is a template. */
  templates: (input: JsonObject, names?: readonly string[]): readonly Analysis[] => {
    const found: Analysis[] = [];
    mapTexts(input, (text, path) => {
      if (!text.includes('{{')) return text;
      const tasks = (): readonly string[] => (templateOf(text) ?? []).flatMap((part) => ('expression' in part ? tasksIn(part.expression, names) : []));
      found.push(analysed(path, text, tasks));
      return text;
    });
    return found;
  },
};
