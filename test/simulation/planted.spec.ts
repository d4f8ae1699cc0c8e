import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { WorkingCopy, repository } from '../repository/working-copy.js';

type Edit = readonly [file: string, from: string, to: string];

const driver = 'apps/executor/src/execution-driver.ts';
const attempts = 'apps/executor/src/local-attempts.ts';
const child = 'apps/executor/src/child.ts';
const ledger = 'libs/ledger/src/ledger.ts';
const evolve = 'libs/execution/src/evolve.ts';
const draft = 'libs/execution/src/draft.ts';

// [the fault, how it is planted, what is seen of it]
const planted: readonly (readonly [string, readonly Edit[], RegExp])[] = [
  [
    'a timer that is not set while nothing runs',
    [[driver, 'if (wakeAt !== undefined) this.wakeIn', 'if (wakeAt !== undefined && this.runningHere > 0) this.wakeIn']],
    /is stuck: /,
  ],
  [
    'an attempt that is started again where the outcome of its last commit was unknown',
    [
      [attempts, 'if (!task || this.over.has(key)) return;', 'if (!task) return;'],
      [attempts, 'if (!this.decided.delete(key) || this.abandoned)', 'if (this.abandoned)'],
    ],
    /runs twice/,
  ],
  [
    'a conflict that is taken for success',
    [
      [ledger, 'if (!result.stored) return undefined;', ''],
      [ledger, 'sequence: result.sequence', 'sequence: result.stored ? result.sequence : execution.sequence + 1'],
    ],
    /alarm: .*HISTORY_BROKEN|is broken at|not in the log|is stuck|runs twice|runs before its start/,
  ],
  [
    'a pause that is passed over',
    [[evolve, "draft.status = 'paused';", '']],
    /while paused/,
  ],
  [
    'what was done first being undone first',
    [[draft, 'draft.undo = { id: compensation, next: draft.undo };', 'draft.undo = { id: draft.undo?.id ?? compensation, next: draft.undo && { id: compensation, next: undefined } };']],
    /starts before undo-/,
  ],
  [
    'an execution that ends before the one that a task of it is',
    [['libs/execution/src/consequences.ts', 'task.subExecution === undefined && (ending.abandon', '(ending.abandon']],
    /while its child .* is/,
  ],
  [
    'a child that is looked at once',
    [['apps/executor/src/children.ts', 'watched.cancelTimer = this.around.clock.after(', 'this.around.clock.after.bind(']],
    /is stuck: is execution/,
  ],
  [
    'a cancel that does not come down',
    [[child, 'await this.cancel(this.wait.cancel);', '']],
    /is stuck: is execution/,
  ],
  [
    'items that do not wait for their turn',
    [['libs/execution/src/expansion.ts', 'const isAdmitted = n < admitted;', 'const isAdmitted = n <= admitted;']],
    /starts beside|is stuck: /,
  ],
  [
    'an item that is tried again although another one has failed, where that is the end of all',
    [
      ['libs/execution/src/outcome.ts', 'state.tasks.get(parent?.id ?? \'\')?.children?.isStopped !== true &&', 'parent !== null &&'],
      ['libs/execution/src/expansion.ts', 'if (!task?.parent || !whole?.isStopped) return undefined;', 'if (!task?.parent || whole) return undefined;'],
    ],
    /starts although another item has failed/,
  ],
  [
    'a loop that is not asked after a crash',
    [['apps/executor/src/commit-draft.ts', 'if (!hasRoom() || !task) continue;', 'if (!hasRoom() || !task || taken === 0) continue;']],
    /is stuck: /,
  ],
];

let copy: WorkingCopy;
beforeAll(() => (copy = new WorkingCopy()));
afterAll(() => copy.remove());

it.each(planted)('finds %s', (_fault, edits, seen) => {
  const texts = new Map<string, string>();
  for (const [file, from, to] of edits) {
    const text = texts.get(file) ?? readFileSync(join(repository, file), 'utf8');
    expect(text).toContain(from);
    texts.set(file, text.replace(from, to));
  }
  for (const [file, text] of texts) copy.write(file, text);
  const { status, output } = copy.run('node', 'test/simulation/run.mjs', '--seeds', '1000');
  for (const file of texts.keys()) copy.write(file, readFileSync(join(repository, file), 'utf8'));
  expect(output).toMatch(seen);
  expect(status).toBe(1);
}, 120_000);
