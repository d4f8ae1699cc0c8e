/** What a kind of value is called; those of CEL, in the words of JSON. */
const kinds: Readonly<Record<string, string>> = { int: 'a whole number', uint: 'a whole number', double: 'a number', string: 'text', bool: 'true or false', list: 'a list', map: 'an object', null_type: 'null' };

export const kindNamed = (type: string): string => kinds[type.replace(/\(.*$/, '')] ?? type;

const plainName = (name: string): string => (name === '_[_]' ? '[ ]' : name.replaceAll('_', name.includes('?') ? ' ' : '').replace('@', '').trim());

/** Why a function or an operator has no value for what it is given, and what to do. */
export const noOverload = (name: string, types: readonly string[]): string => {
  const given = types.map(kindNamed).join(' and ');
  if (name === '_&&_' || name === '_||_') return `joins ${given} by ${plainName(name)}, which is for true or false; compare it with something`;
  if (name === '_?_:_') return `needs true or false before ?, and has ${given}; compare it with something`;
  if (name === '@in') return `looks with in for ${given}; in is for what is in a list, or a key of an object`;
  const call = /^\w+$/.test(name) && !name.startsWith('_') ? `${name}()` : plainName(name);
  return `can't apply ${call} to ${given}; convert with string(), int() or double(), or name a value that fits`;
};

type Explanation = readonly [RegExp, (found: readonly string[], named: (field: string) => string | undefined) => string];

const explanations: readonly Explanation[] = [
  [
    /^field not found: (.*)$/s,
    ([field = ''], named) => {
      const path = named(field);
      // What is no constant of the expression may be a value.
      if (path === undefined) return 'asks for a key that is not there; test for it first with in';
      return `finds no ${path}; name what is there, or test for it first: has(${path})`;
    },
  ],
  [/^index (-?\d+) out of bounds/, ([index = '']) => `asks for [${index}] of a list that ends before it; items are counted from 0: test size() first`],
  [/^found no matching overload for '?(.+?)'? applied to '(?:(.*)\.)?\((.*)\)'$/, ([name = '', target, args = '']) => noOverload(name, [...(target ? [target] : []), ...(args ? args.split(', ') : [])])],
  [/^type mismatch: expected bool, got (\w+)/, ([type = '']) => `joins ${kindNamed(type)} by && or ||, which are for true or false; compare it with something`],
  [/^type mismatch: iterable vs (\w+)/, ([type = '']) => `goes through ${kindNamed(type)} as if it were a list; name a list`],
  [/ (divide|modulus) by zero$/, () => 'divides by zero; test the divisor first: d == 0 ? 0 : n / d'],
  [/ overflow/, () => 'results in a whole number of more than 64 bits; compute with double()'],
  [/^error parsing regexp: ([^:`]*)/, ([why = '']) => `has a pattern that RE2 can't take (${why.trim()}); see github.com/google/re2/wiki/Syntax`],
  [/^map key conflict/, () => 'makes an object that has a key twice; give each its own'],
  [/^unsupported key type/, () => 'makes or asks for a key that is no text, number or truth value; convert it with string()'],
  [/^Failed to parse timestamp/, () => "makes a time of a text that is none; write it as '2026-11-20T00:00:00Z'"],
  [/duration/i, () => "makes a duration of a text that is none; write it as '90s' or '1h30m'"],
  [/BigInt|to bool|[Cc]onvert/, () => 'converts a text that is not of that kind; test it first with matches()'],
  [/^(join is for .*|invalid argument to function (?:substring|join): .*)$/s, ([own = '']) => own],
];

/**
 * What the library says of an expression without a value, as what, why and what to do. No value is quoted: the message goes into the log, and those of the library
 * hold values now and then. `named` knows the paths that the expression itself writes, by a name in them.
 */
export const explained = (message: string, named: (field: string) => string | undefined): string => {
  for (const [pattern, explain] of explanations) {
    const found = pattern.exec(message);
    if (found) return explain(found.slice(1), named);
  }
  return "can't be evaluated: a value in it is not of the kind that it is taken for; test it first, or convert it with string(), int() or double()";
};
