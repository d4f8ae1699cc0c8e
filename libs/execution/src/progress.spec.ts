import type { Command } from './index.js';
import { T0, given, lose, pause, request, start, succeed, task } from '#libs/testing';
import { next } from './index.js';

const tell = (done: number, attempt = 1): Command => ({ type: 'RecordProgress', taskId: 'a', attempt, progress: { done, failed: 1, total: 9, resume: { page: done } } });
const one = request([task('a')]);

describe('progress of an attempt', () => {
  it('is recorded while it runs, also under a pause', () => {
    given(one, start('a')).when(tell(3)).decides({ type: 'TaskProgressed', data: { taskId: 'a', attempt: 1, done: 3, failed: 1, total: 9, resume: { page: 3 } } });
    given(one, start('a'), pause).when(tell(3)).decidesTypes('TaskProgressed');
  });

  it('of an attempt that is over, or of another one, is not', () => {
    given(one, start('a'), lose('a')).when(tell(3)).decides();
    given(one, start('a'), lose('a'), start('a')).when(tell(3, 1)).decides();
    given(one, start('a'), succeed('a')).when(tell(3)).decides();
  });

  it('is what the attempt after a lost one goes on from', () => {
    const { state } = given(one, start('a'), tell(3), tell(5), lose('a'), start('a'));
    expect(state.tasks.get('a')?.progress).toEqual({ done: 5, failed: 1, total: 9, resume: { page: 5 } });
  });

  it('changes nothing of what happens next', () => {
    expect(next(given(one, start('a'), tell(3)).state, T0)).toEqual(next(given(one, start('a')).state, T0));
  });
});
