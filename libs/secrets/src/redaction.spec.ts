import fc from 'fast-check';
import { Redaction, secretValueFault } from './index.js';
import { visibleForms } from './visible-forms.js';

const redact = (secrets: readonly string[], text: string): string => new Redaction(secrets).text(text);

/** What every byte of any form of any secret is covered by, found the slow way. */
const expected = (secrets: readonly string[], bytes: Buffer): Buffer => {
  const covered = new Uint8Array(bytes.length);
  for (const form of secrets.flatMap(visibleForms)) {
    for (let at = bytes.indexOf(form); at >= 0; at = bytes.indexOf(form, at + 1)) covered.fill(1, at, at + form.length);
  }
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; at++) {
    if (!covered[at]) parts.push(bytes.subarray(at, at + 1));
    else if (!covered[at - 1]) parts.push(Buffer.from('***'));
  }
  return Buffer.concat(parts);
};

const inPieces = (secrets: readonly string[], bytes: Buffer, cuts: readonly number[]): Buffer => {
  const stream = new Redaction(secrets).stream();
  const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  const pieces = at.slice(1).map((end, index) => stream.write(bytes.subarray(at[index], end)));
  return Buffer.concat([...pieces, stream.end()]);
};

// Few letters, so that secrets overlap with themselves, with each other and with what surrounds them. No asterisk: a mask beside other
// text could spell a secret made of asterisks, and tell nothing by that.
const few = fc.string({ unit: fc.constantFrom('a', 'b', '%', '"', '\n', 'é'), minLength: 4, maxLength: 12 });
const any = fc.string({ unit: 'grapheme', minLength: 4, maxLength: 40 });
const secret = fc.oneof(few, any).filter((value) => secretValueFault(value) === undefined && !value.includes('*'));
const secretList = fc.array(secret, { minLength: 1, maxLength: 4 });
const noise = fc.oneof(fc.uint8Array({ maxLength: 12 }), few.map((text) => Buffer.from(text)), any.map((text) => Buffer.from(text)));

/** Secrets, and bytes in which their forms, whole and in part, stand among others. */
const scene = secretList.chain((secrets) => {
  const form = fc.constantFrom(...secrets.flatMap(visibleForms));
  const part = fc.tuple(form, fc.nat()).map(([whole, length]) => whole.subarray(0, length % whole.length));
  const bytes = fc.array(fc.oneof(noise, form, part), { maxLength: 12 }).map((parts) => Buffer.concat(parts));
  return fc.record({ secrets: fc.constant(secrets), bytes, cuts: fc.array(fc.nat(), { maxLength: 12 }) });
});

describe('a stream of bytes, cut anywhere', () => {
  it('shows no form of any secret', () => {
    fc.assert(
      fc.property(scene, ({ secrets, bytes, cuts }) => {
        const shown = inPieces(secrets, bytes, cuts);
        return secrets.flatMap(visibleForms).every((form) => !shown.includes(form));
      }),
      { numRuns: 2_000 },
    );
  });

  it('is otherwise the same byte for byte, however it is cut', () => {
    fc.assert(
      fc.property(scene, ({ secrets, bytes, cuts }) => inPieces(secrets, bytes, cuts).equals(expected(secrets, bytes))),
      { numRuns: 2_000 },
    );
  });

  it('cut after every byte is what it is in one piece', () => {
    fc.assert(
      fc.property(scene, ({ secrets, bytes }) => {
        const every = Array.from(bytes, (_byte, index) => index);
        return inPieces(secrets, bytes, every).equals(new Redaction(secrets).bytes(bytes));
      }),
    );
  });

  it('holds back only what may be the beginning of a secret', () => {
    const stream = new Redaction(['hunter22']).stream();
    const write = (text: string): string => stream.write(Buffer.from(text)).toString();
    expect([write('Name? '), write('hun'), write('gry? '), write('hunter2'), write('2!'), write('hunter')]).toEqual(['Name? ', '', 'hungry? ', '', '***!', '']);
    expect(stream.end().toString()).toBe('hunter');
  });
});

it.each([
  ['twice in a row is masked once', ['abcd'], 'abcdabcd', '***'],
  ['overlapping itself', ['aaaa'], 'xaaaaaay', 'x***y'],
  ['overlapping another', ['abcd', 'cdef'], 'xabcdefy', 'x***y'],
  ['the beginning of another', ['abcd', 'abcdef'], 'abcdef abcd', '*** ***'],
  ['part of another that is not there in full', ['bcde', 'abcdefgh'], 'abcdefg', 'a***fg'],
])('a secret %s', (_what, secrets, text, shown) => {
  expect(redact(secrets, text)).toBe(shown);
});

const value = 'p/a+s "wörd"\\&=?';
it.each([
  ['itself', value],
  ['base64', Buffer.from(value).toString('base64')],
  ['base64 for URLs', Buffer.from(value).toString('base64url')],
  ['a component of a URL', encodeURIComponent(value)],
  ['a component of a URL in lower case', encodeURIComponent(value).replace(/%../g, (escape) => escape.toLowerCase())],
  ['a form', new URLSearchParams({ value }).toString().slice('value='.length)],
  ['JSON', JSON.stringify(value).slice(1, -1)],
  ['JSON in ASCII', JSON.stringify(value).slice(1, -1).replace('ö', '\\u00f6')],
  ['JSON with escaped slashes', JSON.stringify(value).slice(1, -1).replaceAll('/', '\\/')],
])('is found as %s', (_what, form) => {
  expect(redact([value], `<${form}>`)).toBe('<***>');
});

it('is found amid what is encoded with it, save for characters that are only in part its own', () => {
  for (const user of ['u', 'us', 'use', 'user']) {
    const shown = redact(['hunter22-hunter22'], Buffer.from(`${user}:hunter22-hunter22\n`).toString('base64'));
    expect(shown).toMatch(/^[A-Za-z0-9+/]+\*\*\*[A-Za-z0-9+/=]{0,4}$/);
    expect(Buffer.from(shown.split('***')[0]!, 'base64').toString()).toMatch(new RegExp(`^${user}:?h?$`));
  }
});

it('is found as base64 that is broken into lines, and line by line where it has several', () => {
  const key = Array.from({ length: 9 }, (_, index) => `line ${index} ${'x'.repeat(40)}`).join('\n');
  const encoded = Buffer.from(key).toString('base64');
  for (const length of [64, 76]) expect(redact([key], encoded.replace(new RegExp(`.{${length}}(?=.)`, 'g'), '$&\n'))).toBe('***');
  expect(redact([key], key.replaceAll('\n', '\r\n'))).toBe(Array.from({ length: 9 }, () => '***').join('\r\n'));
});

it('is found without the white space around it, and in the bytes of a header', () => {
  expect(redact(['hunter22\n'], 'say hunter22!')).toBe('say ***!');
  expect(new Redaction(['pässword']).bytes(Buffer.from('<pässword>', 'latin1')).toString()).toBe('<***>');
  const misread = Buffer.from('pässword').toString('latin1');
  expect(redact(['pässword'], JSON.stringify({ misread, encoded: encodeURIComponent(misread) }))).toBe('{"misread":"***","encoded":"***"}');
});

it('is replaced in every text of a JSON value, keys included, and leaves other values as they are', () => {
  const redaction = new Redaction(['hunter22']);
  const untouched = { list: [1, null, true, 'half a character: \ud800'], 12: {} };
  expect(redaction.json({ hunter22: ['is hunter22'], ...untouched })).toEqual({ '***': ['is ***'], ...untouched });
  expect(redaction.texts({ hunter22: ['is hunter22'], ...untouched })).toEqual({ hunter22: ['is ***'], ...untouched });
});

it('looks for sixteen large secrets at the speed of one', () => {
  const text = Buffer.from('all work and no play makes jack a dull boy\n'.repeat(50_000));
  const time = (secrets: readonly string[]): number => {
    const stream = new Redaction(secrets).stream();
    const startedAt = performance.now();
    stream.write(text);
    return performance.now() - startedAt;
  };
  const large = Array.from({ length: 16 }, (_, index) => `${String.fromCharCode(65 + index)}${'0123456789abcdef'.repeat(200)}`);
  time(['warm-up-secret']);
  // Generous: a search per secret would take some sixteen times, or per form some two hundred times as long.
  expect(time(large)).toBeLessThan(8 * time(['hunter22']) + 50);
});

it.each([
  ['hunt', undefined],
  ['x'.repeat(16 * 1024), undefined],
  [' hun\n', 'needs at least 4 characters'],
  ['', 'needs at least 4 characters'],
  [5, 'must be a string'],
  ['x'.repeat(16 * 1024 + 1), 'has 16385 bytes; at most 16384 are allowed'],
  ['ab\0cd', 'must not contain a NUL character'],
  ['abcd\ud800', 'half a character'],
])('may be stored, or not: %#', (candidate, fault) => {
  const found = secretValueFault(candidate);
  if (fault === undefined) expect(found).toBeUndefined();
  else expect(found).toContain(fault);
});
