import type { ExecutionRef } from '#libs/contracts';
import { type StoredCommit, replay, unborn } from '#libs/ledger';
import { eventually } from '#libs/testing';
import { Cluster, command } from './apps.js';

const EXECUTIONS = 1_000;
const REQUESTED_AT_ONCE = 50;

let cluster: Cluster;
beforeEach(async () => (cluster = await Cluster.start()), 30_000);
afterEach(() => cluster.stop());

it('fault 7: of a thousand executions under executors that come and go, versions have no gap and attempts one outcome', async () => {
  await cluster.app('executor', { home: 'first' });
  const refs: ExecutionRef[] = [];
  const requestSome = async (): Promise<void> => {
    for (let i = 0; i < EXECUTIONS / REQUESTED_AT_ONCE; i++) {
      const run = i % 10 === 0 ? command('b', 'true') : { id: 'b', runner: 'wait', input: { durationMs: 300 }, dependsOn: ['a'] };
      refs.push(await cluster.request([{ id: 'a', runner: 'noop', input: {}, dependsOn: [] }, { ...run, dependsOn: ['a'] }]));
    }
  };
  const requesting = Promise.all(Array.from({ length: REQUESTED_AT_ONCE }, requestSome));
  await eventually(() => refs.length > EXECUTIONS / 3, { what: 'a third to be requested', timeoutMs: 20_000 });
  const second = await cluster.app('executor', { home: 'second' });
  await requesting;
  await second.kill('SIGTERM');

  const commits: StoredCommit[] = [];
  const ended = new Set<string>();
  const follower = await cluster.log.follow(undefined, {
    commits: (batch) => {
      commits.push(...batch);
      for (const { ref, commit } of batch) if (commit.events.some(({ type }) => type === 'ExecutionCompleted')) ended.add(ref.execution);
    },
    unreadable: (sequence) => {
      throw new Error(`message ${sequence} is no commit`);
    },
    lost: (why) => {
      throw new Error(why);
    },
  });
  await eventually(() => ended.size >= EXECUTIONS, { what: 'all to have completed', timeoutMs: 60_000 });
  await follower.stop();

  const histories = new Map<string, StoredCommit[]>();
  for (const stored of commits) histories.set(stored.ref.execution, [...(histories.get(stored.ref.execution) ?? []), stored]);
  expect(histories.size).toBe(refs.length);
  const executors = new Set<string>();
  for (const ref of refs) {
    const history = histories.get(ref.execution) ?? [];
    expect(history.map(({ commit }) => commit.version)).toEqual(history.map((_, index) => index + 1));
    expect(replay(unborn(ref), history).state.status).toBe('completed');
    const events = history.flatMap(({ commit }) => commit.events);
    for (const event of events) if (event.type === 'TaskStarted' && event.data.executor !== '') executors.add(event.data.executor);
    expect(events.filter(({ type }) => type === 'TaskCompleted')).toHaveLength(2);
  }
  expect(executors.size).toBe(2);
}, 120_000);
