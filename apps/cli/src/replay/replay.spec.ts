import fc from 'fast-check';
import { type ExecutionRef } from '#libs/contracts';
import { BrokenHistory, type StoredCommit, seal, unborn } from '#libs/ledger';
import { ExecutionView } from '#libs/projections';
import { type Log, generatedLogs } from '#libs/testing';
import { changesOf } from './changes.js';
import { Replay } from './replay.js';

describe('changes', () => {
  it.each<[string, unknown, unknown, unknown[]]>([
    ['a field', { a: 1, b: 2 }, { a: 1, b: 3 }, [{ path: 'b', before: 2, after: 3 }]],
    ['a field within', { a: { b: null } }, { a: { b: 'x' } }, [{ path: 'a/b', before: null, after: 'x' }]],
    ['what was not there', undefined, { a: { b: 1, c: null, d: [] } }, [{ path: 'a/b', before: undefined, after: 1 }]],
    ['what is gone', { a: 1 }, {}, [{ path: 'a', before: 1, after: undefined }]],
    ['things with ids', { s: [{ id: 'x', n: 1 }] }, { s: [{ id: 'w', n: 0 }, { id: 'x', n: 2 }] }, [
      { path: 's/x/n', before: 1, after: 2 },
      { path: 's/w/id', before: undefined, after: 'w' },
      { path: 's/w/n', before: undefined, after: 0 },
    ]],
    ['a list of texts', { l: ['a'] }, { l: ['a', 'b'] }, [{ path: 'l', before: ['a'], after: ['a', 'b'] }]],
    ['a result, as a whole', { result: null }, { result: { a: 1, b: 2 } }, [{ path: 'result', before: null, after: { a: 1, b: 2 } }]],
    ['nothing', { a: [{ id: 'x' }], b: {} }, { a: [{ id: 'x' }], b: {} }, []],
  ])('are of %s', (_, before, after, expected) => {
    expect(changesOf(before, after)).toEqual(expected);
  });
});

const ref: ExecutionRef = { tenant: 'acme', execution: 'e1' };

const stored = (log: Log): StoredCommit[] => {
  let end = unborn(ref);
  return log.map((events, i) => {
    const { commit, body, hash } = seal(end, events);
    end = { ...end, version: commit.version, hash };
    return { ref, commit, hash, bytes: body.length, sequence: 10 + 2 * i, storedAt: '2026-01-01T00:00:00.000Z' };
  });
};

describe('a replay', () => {
  it('shows after each commit what the projection shows, and names every field of the execution and its tasks that has changed', () => {
    fc.assert(
      fc.property(generatedLogs, (log) => {
        const history = stored(log);
        const view = new ExecutionView(ref);
        const replay = new Replay(ref);
        let before: object = { execution: undefined, tasks: undefined };
        let index = 0;
        for (const { sequence, version, events, execution, tasks, changes } of replay.commits(history)) {
          view.apply(history[index]!);
          index += 1;
          expect([sequence, version, events]).toEqual([8 + 2 * index, index, log[index - 1]]);
          expect(replay.state).toEqual({ execution: view.execution, tasks: view.taskViews });
          expect(execution).toEqual(view.execution);
          for (const task of tasks) expect(view.taskViews).toContainEqual(task);
          const after = { execution: view.execution, tasks: view.taskViews };
          const all = changesOf(before, after).filter(({ path }) => !/^execution\/(version|sequence)$/.test(path));
          // Of the first commit the tasks of the plan are no news: the request names them.
          if (index > 1) expect(changes.toSorted(byPath)).toEqual(all.toSorted(byPath));
          before = after;
        }
        expect(index).toBe(log.length);
      }),
      { numRuns: 200 },
    );
  });

  it('refuses a history that is not whole', () => {
    const [first, , third] = stored(fc.sample(generatedLogs.filter(({ length }) => length > 3), 1)[0]!);
    expect(() => [...new Replay(ref).commits([first!, third!])]).toThrow(BrokenHistory);
  });
});

const byPath = (a: { readonly path: string }, b: { readonly path: string }): number => (a.path < b.path ? -1 : 1);
