import { Problem } from './problem.js';

/** Levels of nesting in a body: a plan's own and the 64 that an input may have. */
const MAX_DEPTH = 80;

const utf8 = new TextDecoder('utf-8', { fatal: true });
// Of a text that is JSON: its strings, with the colon that makes one a key, and what opens, parts and closes.
const token = /"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?|[{}[\],]/g;
// oxlint-disable-next-line no-control-regex
const broken = /\u0000|\p{Surrogate}/u;

type Level = { readonly keys: Set<string> | undefined; at: string | number };

const refuse = (levels: readonly Level[], message: string): never => {
  const path = levels.map(({ at }) => `/${String(at).slice(0, 64).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
  const shown = path.slice(0, 400);
  throw new Problem(400, 'BODY_INVALID', `${shown || 'the body'}: ${message}`, { problems: [{ path: shown, message }] });
};

const checkKey = (levels: readonly Level[], key: string): void => {
  const level = levels[levels.length - 1];
  if (!level?.keys) return;
  const isDouble = level.keys.has(key);
  level.keys.add(key);
  level.at = key;
  if (isDouble) refuse(levels, 'this key is given twice');
  const outer = levels[levels.length - 2]?.at;
  if (key === '__proto__' || (key === 'prototype' && outer === 'constructor')) refuse(levels, 'this key is not allowed');
};

/** What JSON.parse lets through and nobody should store: two readers of such a text could understand two things. */
const checkTokens = (text: string): void => {
  const levels: Level[] = [];
  for (const [part, colon] of text.matchAll(token)) {
    if (part === '{' || part === '[') {
      if (levels.length >= MAX_DEPTH) refuse([], `nested deeper than ${MAX_DEPTH} levels`);
      levels.push(part === '{' ? { keys: new Set(), at: '' } : { keys: undefined, at: 0 });
    } else if (part === '}' || part === ']') {
      levels.pop();
    } else if (part === ',') {
      const level = levels[levels.length - 1];
      if (typeof level?.at === 'number') level.at += 1;
    } else {
      const quoted = colon === undefined ? part : part.slice(0, -colon.length);
      const isPlain = !quoted.includes('\\');
      if (isPlain && colon === undefined) continue;
      const value = isPlain ? quoted.slice(1, -1) : (JSON.parse(quoted) as string);
      if (colon !== undefined) checkKey(levels, value);
      if (broken.test(value)) refuse(levels, 'holds NUL, or half a character (a lone surrogate)');
    }
  }
};

/**
 * A body as JSON, undefined when there is none. Throws Problem BODY_NOT_JSON, or BODY_INVALID with the path to a key that is given
 * twice or not allowed, to broken text, or for too deep nesting. `mayQuote`: whether a refusal may show a piece of the body.
 */
export const parseJson = (bytes: Uint8Array, mayQuote = true): unknown => {
  if (bytes.length === 0) return undefined;
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw new Problem(400, 'BODY_NOT_JSON', 'the body is not UTF-8');
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Problem(400, 'BODY_NOT_JSON', mayQuote ? `the body is not JSON: ${(error as SyntaxError).message.slice(0, 200)}` : 'the body is not JSON');
  }
  checkTokens(text);
  return value;
};
