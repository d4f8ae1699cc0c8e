import type { Json, JsonObject } from '#libs/contracts';
import { ExpressionError } from './expression-error.js';

/** A text with expressions in it. */
export type Part = { readonly text: string } | { readonly expression: string };

/** Where the expression that starts at `from` ends: at the braces that close it, not at those of its own objects and texts. */
const endOf = (text: string, from: number): number => {
  let depth = 0;
  for (let i = from; i < text.length; i++) {
    const character = text[i];
    if (character === '"' || character === "'") {
      for (i++; i < text.length && text[i] !== character; i++) if (text[i] === '\\') i++;
    } else if (character === '{') depth += 1;
    else if (character === '}') {
      if (depth === 0 && text[i + 1] === '}') return i;
      depth -= 1;
    }
  }
  throw new ExpressionError("has {{ without }}; literal braces are written {{ '{{' }}");
};

/** Undefined for a text without templates. Throws ExpressionError for an unclosed one. */
export const templateOf = (text: string): readonly Part[] | undefined => {
  const parts: Part[] = [];
  let done = 0;
  for (let at = text.indexOf('{{'); at >= 0; at = text.indexOf('{{', done)) {
    const end = endOf(text, at + 2);
    if (at > done) parts.push({ text: text.slice(done, at) });
    parts.push({ expression: text.slice(at + 2, end).trim() });
    done = end + 2;
  }
  if (done === 0) return undefined;
  if (done < text.length) parts.push({ text: text.slice(done) });
  return parts;
};

const below = (path: string, key: string | number): string => `${path}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;

/** The value with every text in it replaced by what `replace` makes of it; keys stay. */
export const mapTexts = (value: Json, replace: (text: string, path: string) => Json, path = ''): Json => {
  if (typeof value === 'string') return replace(value, path);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return (value as readonly Json[]).map((item, index) => mapTexts(item, replace, below(path, index)));
  return Object.fromEntries(Object.entries(value as JsonObject).map(([key, member]) => [key, mapTexts(member, replace, below(path, key))]));
};
