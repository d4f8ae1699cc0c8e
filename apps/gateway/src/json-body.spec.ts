import { parseJson } from './json-body.js';
import type { Problem } from './problem.js';

const parse = (text: string | Uint8Array): unknown => parseJson(typeof text === 'string' ? new TextEncoder().encode(text) : text);

const problemOf = (text: string | Uint8Array): Problem => {
  try {
    parse(text);
  } catch (error) {
    return error as Problem;
  }
  throw new Error('it was taken');
};

it.each([
  ['an object', { plan: { name: 'x', tasks: [{ id: 'a' }, { id: 'b', input: { n: [1, -2.5e3, true, null] } }] } }],
  ['text full of what looks like structure', { a: '{"b": [1, {', b: 'say "x": \\" , ]' }],
  ['the same key in different objects', { a: { id: 1 }, b: { id: 2 }, c: [{ id: 3 }, { id: 4 }] }],
  ['keys that only resemble refused ones', { constructor: { name: 1 }, prototype: { a: 1 }, proto: 1 }],
  ['text equal to a key', { a: 'a', b: ['a', 'b'] }],
  ['characters beyond the first plane', { face: '😀', umlaut: 'ü' }],
])('takes %s as JSON.parse does', (_, value) => {
  expect(parse(JSON.stringify(value))).toEqual(value);
  expect(parse(JSON.stringify(value, null, 2))).toEqual(value);
});

it('takes an escaped pair of surrogates for the character it is', () => {
  expect(parse(String.raw`{"a":"\ud83d\ude00"}`)).toEqual({ a: '😀' });
});

it('says undefined for a body that is not there', () => {
  expect(parse('')).toBeUndefined();
});

it.each([
  ['what is cut off', '{"plan":'],
  ['what goes on after the end', '{} {}'],
  ['a raw NUL', '{"a":"\u0000"}'],
  ['a text that is no UTF-8', Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d)],
  ['UTF-16', Uint8Array.from(Buffer.from('{"a":1}', 'utf16le'))],
])('refuses %s as no JSON', (_, body) => {
  expect(problemOf(body)).toMatchObject({ status: 400, code: 'BODY_NOT_JSON' });
});

it.each([
  ['a key given twice', '{"a":1,"b":{"c":[{},{"x":1,"x":2}]}}', '/b/c/1/x'],
  ['a key given twice, once escaped', String.raw`{"ab":1,"\u0061b":2}`, '/ab'],
  ['__proto__', '{"a":[{"__proto__":{}}]}', '/a/0/__proto__'],
  ['an escaped __proto__', String.raw`{"\u005f_proto__":{}}`, '/__proto__'],
  ['constructor.prototype', '{"x":{"constructor":{"a":1,"prototype":{}}}}', '/x/constructor/prototype'],
  ['an escaped NUL', String.raw`{"a":{"b":"x\u0000y"}}`, '/a/b'],
  ['half a character', String.raw`{"a":["ok","\ud800"]}`, '/a/1'],
  ['half a character in a key', String.raw`{"\udc00":1}`, '/\udc00'],
  ['a tilde and a slash in the way, escaped as pointers are', '{"a/b":{"c~d":{"x":1,"x":1}}}', '/a~1b/c~0d/x'],
])('refuses %s with the path to it', (_, text, path) => {
  const problem = problemOf(text);
  expect(problem).toMatchObject({ status: 400, code: 'BODY_INVALID' });
  expect(problem.extra.problems).toEqual([{ path, message: expect.any(String) as string }]);
});

it('takes 80 levels and refuses more, at once also for the deepest', () => {
  const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
  expect(() => parse(nested(80))).not.toThrow();
  expect(problemOf(nested(81))).toMatchObject({ code: 'BODY_INVALID' });
  expect(problemOf(nested(250_000))).toMatchObject({ code: 'BODY_INVALID' });
});
