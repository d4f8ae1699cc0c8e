import { type CelFunc, CelScalar, celFunc, celMethod, listType } from '@bufbuild/cel';
import { strings } from '@bufbuild/cel/ext';
import { spend } from './budget.js';

const { INT, DOUBLE, DYN, STRING } = CelScalar;
const list = listType(DYN);

const arithmetic: Readonly<Record<string, (a: number, b: number) => number>> = {
  '_+_': (a, b) => a + b,
  '_-_': (a, b) => a - b,
  '_*_': (a, b) => a * b,
  '_/_': (a, b) => a / b,
};

/** Who writes `price * 1.5` does not know whether the price is a whole number today. */
const mixed = Object.entries(arithmetic).flatMap(([name, apply]) => [
  celFunc(name, [INT, DOUBLE], DOUBLE, (a, b) => apply(Number(a), b)),
  celFunc(name, [DOUBLE, INT], DOUBLE, (a, b) => apply(a, Number(b))),
]);

/** The library's own keeps both lists as they are, so that what a long map has made is as deep as it is long. */
const joined = celFunc('_+_', [list, list], list, (a, b) => {
  spend((a.size + b.size) >> 6);
  return [...a, ...b];
});

/** The library's own take the square of what they are called with, or can't be stopped. */
const texts = [
  celMethod('replace', STRING, [STRING, STRING], STRING, function (from, to) {
    spend((this.length + Math.ceil(this.length / Math.max(1, from.length)) * to.length) >> 6);
    return this.replaceAll(from, () => to);
  }),
  celMethod('split', STRING, [STRING], listType(STRING), function (separator) {
    spend(this.length >> 4);
    return this.split(separator);
  }),
  celMethod('join', list, [STRING], STRING, function (separator) {
    const parts = Array.from(this, (part) => {
      if (typeof part !== 'string') throw new TypeError('join is for lists of texts; make them with map(x, string(x))');
      spend(1 + ((part.length + separator.length) >> 6));
      return part;
    });
    return parts.join(separator);
  }),
];

const chosen = new Set(['lowerAscii', 'upperAscii', 'trim', 'substring']);

/** What there is beside the language's standard functions. */
export const ownFunctions: CelFunc[] = [...strings.filter(({ name }) => chosen.has(name)), ...texts, ...mixed, joined];
