import type { Screen, Style } from './screen.js';

export type Cell = string | { readonly text: string; readonly style: Style | undefined };

const textOf = (cell: Cell): string => (typeof cell === 'string' ? cell : cell.text);
const lengthOf = (cell: Cell): number => Array.from(textOf(cell)).length;

/** Characters of the last column that stay in any terminal: an id has to be whole. */
const LEAST = 40;

const shorten = (text: string, length: number): string =>
  text.length <= length ? text : `${Array.from(text).slice(0, Math.max(0, length - 1)).join('')}…`;

/** Rows in columns, two spaces between them; where they go to a terminal the last column is cut to its width. */
export const printTable = (screen: Screen, rows: readonly (readonly Cell[])[], indent = ''): void => {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, lengthOf(cell))));
  for (const row of rows) {
    let used = indent.length;
    const cells = row.map((cell, i) => {
      const isLast = i === row.length - 1;
      const text = isLast ? shorten(textOf(cell), Math.max(LEAST, (screen.width ?? Infinity) - used)) : textOf(cell);
      used += (widths[i] ?? 0) + 2;
      const gap = isLast ? '' : ' '.repeat((widths[i] ?? 0) - lengthOf(cell) + 2);
      return screen.paint(typeof cell === 'string' ? undefined : cell.style, text) + gap;
    });
    screen.line(indent + cells.join('').trimEnd());
  }
};

export const heading = (...names: readonly string[]): readonly Cell[] => names.map((text) => ({ text, style: 'dim' as const }));
