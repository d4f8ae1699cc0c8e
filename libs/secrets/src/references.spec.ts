import type { Json } from '#libs/contracts';
import { isReference, referenceFaults, resolveReferences, secretNames } from './index.js';

const faults = (value: Json): readonly string[] => {
  if (!isReference(value)) throw new Error('not meant as a reference');
  return referenceFaults(value, '/env/A').map(({ path, message }) => `${path}: ${message}`);
};
const secrets = new Map([['token', 's3cr3t'], ['user', 'ada']]);
const token = { $secret: 'token' };

it.each<[Json, boolean]>([
  [token, true],
  [{ $secret: 5 }, true],
  [{ $join: ['a'] }, true],
  [{ $secret: 'token', more: 1 }, true],
  [{}, false],
  [['$secret'], false],
  ['$secret', false],
  [null, false],
])('%j is meant as a reference: %j', (value, expected) => {
  expect(isReference(value)).toBe(expected);
});

it.each<[Json, readonly string[]]>([
  [token, []],
  [{ $join: ['Bearer ', token] }, []],
  [{ $secret: 'a.b' }, ["/env/A/$secret: must be a secret's name: ^[A-Za-z0-9_-]{1,64}$"]],
  [{ $secret: '' }, ["/env/A/$secret: must be a secret's name: ^[A-Za-z0-9_-]{1,64}$"]],
  [{ $secret: token }, ["/env/A/$secret: must be a secret's name: ^[A-Za-z0-9_-]{1,64}$"]],
  [{ $secret: 'token', default: 'x' }, ['/env/A: a reference to a secret has no other fields than $secret, or $join']],
  [{ $join: [] }, ['/env/A/$join: must be a list of 1 to 64 parts']],
  [{ $join: 'ab' }, ['/env/A/$join: must be a list of 1 to 64 parts']],
  [{ $join: ['a', 1, { $join: ['b'] }, { $secret: '*' }] }, [
    '/env/A/$join/1: must be a string, or a reference to a secret',
    '/env/A/$join/2: must be a string, or a reference to a secret',
    "/env/A/$join/3/$secret: must be a secret's name: ^[A-Za-z0-9_-]{1,64}$",
  ]],
])('says what is wrong with %j, and where', (value, expected) => {
  expect(faults(value)).toEqual(expected);
});

it('finds the name of every secret, each once, wherever it stands', () => {
  expect(secretNames({ a: [token, { b: { $join: ['x', { $secret: 'user' }, token] } }], c: 'token', d: null })).toEqual(['token', 'user']);
  expect(secretNames({ a: { $secret: 'token', more: 1 }, b: { $secret: 'a.b' } })).toEqual([]);
});

it('puts values in the places of references and touches nothing else', () => {
  const input = { a: token, b: [{ c: { $join: ['Bearer ', token, '!'] } }], d: { $other: 'token' }, e: [1, true, null, 'token'] };
  expect(resolveReferences(input, secrets)).toEqual({ a: 's3cr3t', b: [{ c: 'Bearer s3cr3t!' }], d: { $other: 'token' }, e: [1, true, null, 'token'] });
  expect(input.a).toBe(token);
});

it('takes what is in a secret for text, never for another reference', () => {
  expect(resolveReferences({ a: token }, new Map([['token', '{"$secret":"user"}']]))).toEqual({ a: '{"$secret":"user"}' });
});

it('never puts nothing in the place of a secret that is not there', () => {
  expect(() => resolveReferences({ a: { $join: ['x', { $secret: 'gone' }] } }, secrets)).toThrow('no value for secret gone');
});
