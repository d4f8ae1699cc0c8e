import { InvalidArgumentError } from 'commander';
import { integer, label, moment, several, time, token, url } from './arguments.js';

describe('arguments', () => {
  it.each([
    ['an address without a scheme', () => url('127.0.0.1:8080')],
    ['an address that is none of http', () => url('nats://127.0.0.1:4222')],
    ['an id with a dot', () => token('a.b')],
    ['an id with a slash', () => token('../a')],
    ['an empty id', () => token('')],
    ['a label without a key', () => label('=red')],
    ['a label without a value sign', () => label('team')],
    ['a number below', () => integer(1, 10)('0')],
    ['a number above', () => integer(1, 10)('11')],
    ['a number with a sign', () => integer(1, 10)('+5')],
    ['a time without a zone', () => time('2026-11-20T12:00:00')],
    ['a day that is none', () => time('2026-02-30T12:00:00Z')],
    ['a moment that is neither sequence nor time', () => moment('yesterday')],
  ])('refuse %s', (_, parse) => {
    expect(parse).toThrow(InvalidArgumentError);
  });

  it('take addresses, ids, numbers, times and sequences as they are', () => {
    expect([url('https://host/runledger'), token('a-b_C9'), integer(1, 10)('10')]).toEqual(['https://host/runledger', 'a-b_C9', 10]);
    expect([moment('17'), moment('2026-11-20T12:00:00+01:00')]).toEqual(['17', '2026-11-20T12:00:00+01:00']);
  });

  it('gather what is given more than once', () => {
    expect(label('b=x=y', label('a=1'))).toEqual({ a: '1', b: 'x=y' });
    expect(several('failed', several('paused,running'))).toEqual(['paused', 'running', 'failed']);
  });
});
