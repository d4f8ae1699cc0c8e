import { BULK, type Event } from '#libs/contracts';
import type { StoredCommit } from '#libs/ledger';
import { Model } from '../simulation/model.js';
import { ofBulk } from './bulk-judgement.js';
import type { DryRun } from './clients.js';
import type { History } from './history.js';

type Step = readonly [execution: string, type: Event['type'], data?: object, cause?: string];

const labels = { team: 'red' };
const until = '2026-01-02T00:00:00.000Z';
const plan = { name: 'x', tasks: [] };

const requested = (id: string, more: object = {}): Step => [id, 'ExecutionRequested', { plan, name: 'x', labels, input: {}, dialect: 'canonical', ...more }];
const running = (id: string): readonly Step[] => [requested(id), [id, 'ExecutionStarted', {}]];
const asked = (action: string): Step => requested('bulk-1', { labels: {}, plan: { name: 'bulk', tasks: [{ id: BULK, runner: BULK, input: { action, filter: { labels, until } }, dependsOn: [] }] } });
const paused = (id: string): Step => [id, 'ExecutionPaused', {}, 'bulk bulk-1#pause'];
const told = (done: number, failed: number, total: number, ...page: readonly string[]): Step => ['bulk-1', 'TaskProgressed', { taskId: BULK, attempt: 1, done, failed, total, resume: { page, next: null } }];
const ended = (done: number, failures: readonly object[] = []): readonly Step[] => [
  ['bulk-1', 'TaskCompleted', { taskId: BULK, attempt: 1, result: { done, failed: failures.length, failures } }],
  ['bulk-1', 'ExecutionCompleted', {}],
];

const judged = (steps: readonly Step[], dryRuns: readonly DryRun[] = []): readonly string[] => {
  const versions = new Map<string, number>();
  const commits = steps.map(([execution, type, data = {}, cause = 'key#f'], index): StoredCommit => {
    const version = (versions.get(execution) ?? 0) + 1;
    versions.set(execution, version);
    const event = { type, at: '2026-01-01T00:00:00.000Z', cause, actor: 'x', correlationId: 'x', data } as Event;
    return { ref: { tenant: 'default', execution }, sequence: index + 1, storedAt: event.at, commit: { version, events: [event] } } as unknown as StoredCommit;
  });
  const history: History = { commits, models: new Map([...versions.keys()].map((id) => [id, new Model()])), buried: new Map(), torn: new Set(), complaints: [] };
  return ofBulk(history, dryRuns).violations;
};

const two = [...running('a'), ...running('b')];

describe('a bulk operation', () => {
  it('is as it has to be when it did to each that it named what it tells of', () => {
    expect(judged([...two, asked('pause'), told(0, 0, 2, 'a', 'b'), paused('a'), paused('b'), told(2, 0, 2), ...ended(2)])).toEqual([]);
    const refused: readonly Step[] = [['b', 'ExecutionCompleted'], told(1, 1, 2), ...ended(1, [{ id: 'b', code: 'EXECUTION_TERMINAL' }])];
    expect(judged([...two, asked('pause'), told(0, 0, 2, 'a', 'b'), paused('a'), ...refused])).toEqual([]);
  });

  it.each<[string, readonly Step[], RegExp]>([
    ['counts what it has not done', [told(0, 0, 2, 'a', 'b'), paused('a'), told(2, 0, 2), ...ended(2)], /of 1 the log has its command/],
    ['does it twice', [told(0, 0, 2, 'a', 'b'), paused('a'), paused('a'), paused('b'), told(2, 0, 2), ...ended(2)], /did it 2 times to a/],
    ['does it before it has told of it', [paused('a'), told(0, 0, 2, 'a', 'b'), paused('b'), told(2, 0, 2), ...ended(2)], /did it to a at 6 before it told of it/],
    ['passes over what fits', [told(0, 0, 1, 'a'), paused('a'), told(1, 0, 1), ...ended(1)], /has passed over b/],
    ['fails without a reason', [told(0, 0, 2, 'a', 'b'), paused('a'), told(1, 1, 2), ['bulk-1', 'TaskCompleted', { taskId: BULK, attempt: 1, result: { done: 1, failed: 1, failures: [] } }], ['bulk-1', 'ExecutionCompleted']], /failed for 1, and says why for 0/],
    ['loses count', [told(0, 0, 2, 'a'), paused('a'), told(0, 0, 2, 'b'), paused('b'), told(2, 0, 2), ...ended(2)], /tells of 0 \+ 0 of 1 that it has named/],
  ])('shows when it %s', (_what, steps, seen) => {
    expect(judged([...two, asked('pause'), ...steps])).toContainEqual(expect.stringMatching(seen));
  });

  it('that nobody asked for shows', () => {
    expect(judged([...two, paused('a')])).toEqual([expect.stringMatching(/by bulk bulk-1 \(pause\), which is not there/)]);
  });
});

describe('a dry run', () => {
  const dryRun = (byStatus: DryRun['byStatus'], more: Partial<DryRun> = {}): DryRun => ({ key: 'dry', action: 'cancel', filter: { labels, until }, byStatus, asOfSeq: 4, ...more });

  it('counts what fits at its place in the log, whatever happens afterwards', () => {
    const later: Step = ['a', 'ExecutionPaused'];
    expect(judged([...two, later], [dryRun({ running: 2 }), dryRun({ paused: 1, running: 1 }, { asOfSeq: 5 }), dryRun({}, { action: 'retry' })])).toEqual([]);
    expect(judged([...two, later], [dryRun({ running: 1, paused: 1 })])).toEqual([expect.stringMatching(/it is \[\["running",2\]\]/)]);
  });

  it('changes nothing', () => {
    expect(judged([...two, ['a', 'ExecutionPaused', {}, 'dry#f']], [dryRun({ running: 2 })])).toEqual([expect.stringMatching(/has left something/)]);
  });
});
