import { QueryRefused } from './query-refused.js';

/** A place in the order of a list, as the list gives it out. */
export const encodeCursor = (...place: readonly (string | number | null | undefined)[]): string => Buffer.from(JSON.stringify(place)).toString('base64url');

/** Throws QueryRefused CURSOR_INVALID. */
export const decodeCursor = (cursor: string, length: number): readonly string[] => {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (Array.isArray(value) && value.length === length && value.every((part) => typeof part === 'string')) {
      return value as unknown as readonly string[];
    }
  } catch {
    // Told below.
  }
  throw new QueryRefused('CURSOR_INVALID', 'the cursor is none that a list has answered with; start again without one');
};
