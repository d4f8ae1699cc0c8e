import { type Step, at, cancel, given, request, start, succeed, task } from '#libs/testing';
import type { Command } from './commands.js';
import { MAX_METADATA } from './limits.js';

const one = request([task('a', { retry: { maxAttempts: 2 } })]);
const say = (key: string, value: string, attempt = 1): Command => ({ type: 'RecordMetadata', taskId: 'a', attempt, key, value });
const said = (count: number, of: (n: number) => string): readonly Step[] => Array.from({ length: count }, (_, n) => at(1, say(of(n), String(n))));

describe('what an attempt says of its execution', () => {
  it('is recorded, the last value of a key counts, and the same value again is no news', () => {
    given(one, start('a')).when(say('version', '1')).decides({ type: 'ExecutionMetadataRecorded', data: { taskId: 'a', attempt: 1, key: 'version', value: '1' } });
    const state = given(one, start('a'), say('version', '1'), say('version', '2'), say('by', 'ada')).state;
    expect([...state.metadata]).toEqual([['version', '2'], ['by', 'ada']]);
    given(one, start('a'), say('version', '1')).when(say('version', '1')).decides();
  });

  it('is nobody’s once the attempt has ended', () => {
    given(one, start('a'), succeed('a')).when(say('version', '1')).decides();
    given(one, start('a')).when(say('version', '1', 2)).decides();
    given(one, start('a'), cancel('immediate')).when(say('version', '1')).decidesTypes('ExecutionMetadataRecorded');
  });

  it('has at most so many keys, and changes', () => {
    const full = [one, start('a'), ...said(MAX_METADATA.keys, (n) => `k${n}`)];
    given(...full).when(say('more', 'x')).decides();
    given(...full).when(say('k1', 'x')).decidesTypes('ExecutionMetadataRecorded');
    given(one, start('a'), ...said(MAX_METADATA.changes, () => 'k')).when(say('k', 'x')).decides();
  });
});
