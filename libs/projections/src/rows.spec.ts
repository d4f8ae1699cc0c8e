import { type Row, tasksOf } from './rows.js';

const bulk = (row: Row): Row => ({ id: 'bulk', runner: 'bulk', attempt: 1, progress: '{"done":10,"failed":0,"total":40}', ...row });
const progressOf = (row: Row): unknown => tasksOf([bulk(row)], [])[0]?.progress;

describe('how far a bulk operation has come', () => {
  it('is what it says at its end, where it was cancelled within a page', () => {
    expect(progressOf({ status: 'cancelled', result: '{"done":12,"failed":1,"failures":[]}' })).toEqual({ done: 12, failed: 1, total: 40 });
  });

  it('is what it has told on its way, while it goes on after an attempt that failed', () => {
    expect(progressOf({ status: 'running', result: '{"done":12,"failed":1,"failures":[]}' })).toEqual({ done: 10, failed: 0, total: 40 });
  });

  it('is what it has told on its way, where it ended without a word', () => {
    expect(progressOf({ status: 'cancelled', result: null })).toEqual({ done: 10, failed: 0, total: 40 });
  });
});
