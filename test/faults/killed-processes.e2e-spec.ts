import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { isTerminal } from '#libs/execution';
import { eventually } from '#libs/testing';
import { Cluster, command, dyingBehind } from './apps.js';

const RECOVERED_WITHIN_MS = 10_000;

let cluster: Cluster;
beforeEach(async () => (cluster = await Cluster.start()), 30_000);
afterEach(() => cluster.stop());

const sleeping = (seconds: string): readonly string[] =>
  readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'latin1') === `sleep\0${seconds}\0`;
    } catch {
      return false;
    }
  });

it('fault 3: a gateway that is killed between storing a request and answering it has accepted it; the same key leads to the same execution', async () => {
  const key = randomUUID();
  const ask = (url: string): Promise<Response> =>
    fetch(`${url}/api/v1/executions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify({ plan: { name: 'asked', tasks: [{ id: 'a', runner: 'noop' }] } }),
    });
  const doomed = await cluster.app('gateway', { sabotage: dyingBehind('ExecutionRequested') });
  await expect(ask(doomed.url)).rejects.toThrow();
  expect(await doomed.ended).toBe('SIGKILL');

  const other = await cluster.app('gateway');
  const answer = await ask(other.url);
  expect(answer.status).toBe(202);
  expect(answer.headers.get('idempotency-replayed')).toBe('true');
  const { id } = (await answer.json()) as { id: string };
  expect((await cluster.log.head()).sequence).toBe(1);
  expect(await cluster.log.history({ tenant: 'default', execution: id })).toHaveLength(1);
}, 60_000);

it('fault 4: whatever commit an executor is killed behind, the next one goes on from it, and every attempt has one outcome', async () => {
  const ref = await cluster.request([
    command('a', 'exit 0'),
    command('b', 'test $RUNLEDGER_ATTEMPT -ge 3', { dependsOn: ['a'], retry: { maxAttempts: 2, delayMs: 0 } }),
  ]);
  for (const last of ['TaskStarted', 'TaskCompleted', 'COMMAND_EXITED']) {
    const doomed = await cluster.app('executor', { sabotage: dyingBehind(last) });
    expect(await doomed.ended).toBe('SIGKILL');
  }
  await cluster.app('executor');
  const { state } = await cluster.until(ref, 'its end', (execution) => isTerminal(execution.state.status));
  expect(state.status).toBe('completed');
  expect(await cluster.attempts(ref)).toEqual([
    'TaskStarted a/1', // Its executor is killed, and has run nothing.
    'TaskFailed a/1',
    'TaskRetryScheduled a/2',
    'TaskStarted a/2',
    'TaskCompleted a/2', // Its executor is killed, having decided that b starts.
    'TaskStarted b/1',
    'TaskFailed b/1',
    'TaskRetryScheduled b/2',
    'TaskStarted b/2',
    'TaskFailed b/2', // Its executor is killed, having decided that b is tried again at once.
    'TaskRetryScheduled b/3',
    'TaskStarted b/3',
    'TaskFailed b/3',
    'TaskRetryScheduled b/4',
    'TaskStarted b/4',
    'TaskCompleted b/4',
  ]);
}, 120_000);

it('fault 6: an executor that is killed takes its commands along, and its successor runs each anew, once, within ten seconds', async () => {
  const seconds = String(80_000 + process.pid);
  const first = await cluster.app('executor', { home: 'first' });
  const ref = await cluster.request([command('a', `[ $RUNLEDGER_ATTEMPT = 1 ] && sleep ${seconds}; exit 0`)]);
  await eventually(() => sleeping(seconds).length === 1, { what: 'the command to run', timeoutMs: 10_000 });
  await cluster.app('executor', { home: 'second' });
  const killedAt = Date.now();
  await first.kill();
  await eventually(() => sleeping(seconds).length === 0, { what: 'the end of the command', timeoutMs: 1_000 });
  await cluster.until(ref, 'its end', ({ state }) => isTerminal(state.status));
  expect(Date.now() - killedAt).toBeLessThan(RECOVERED_WITHIN_MS);
  expect(await cluster.attempts(ref)).toEqual(['TaskStarted a/1', 'TaskFailed a/1', 'TaskRetryScheduled a/2', 'TaskStarted a/2', 'TaskCompleted a/2']);
}, 60_000);

it('fault 19: timers that come due while no executor lives ring once each when one does, and each by its own policy', async () => {
  const doomed = await cluster.app('executor');
  const ref = await cluster.request([
    { id: 'wait', runner: 'wait', input: { durationMs: 2_000 }, dependsOn: [] },
    { id: 'ask', runner: 'approval', input: { title: '?', expiresInMs: 2_000, onExpiry: 'approve' }, dependsOn: [] },
    { id: 'refuse', runner: 'approval', input: { title: '?', expiresInMs: 2_000, onExpiry: 'reject' }, dependsOn: [], onFailure: 'continue' },
    { id: 'late', runner: 'signal', input: { name: 'never' }, dependsOn: [], timeoutMs: 2_000, onFailure: 'continue' },
    command('again', 'test $RUNLEDGER_ATTEMPT = 2', { retry: { maxAttempts: 2, backoff: 'fixed', delayMs: 2_000 } }),
  ]);
  const { state } = await cluster.until(ref, 'all timers to run', (execution) => execution.state.tasks.get('again')?.attempt === 1 && execution.state.running === 4);
  await doomed.kill();
  const dueBy = state.at + 2_500;
  await eventually(() => Date.now() > dueBy, { what: 'all timers to be due' });
  expect((await cluster.attempts(ref)).filter((attempt) => !/Started|again/.test(attempt))).toEqual([]);
  await cluster.app('executor');
  const ended = await cluster.until(ref, 'its end', (execution) => isTerminal(execution.state.status));
  expect(ended.state.status).toBe('completed');
  const outcomes = (await cluster.attempts(ref)).filter((attempt) => !attempt.startsWith('TaskStarted')).toSorted();
  expect(outcomes).toEqual(['TaskCompleted again/2', 'TaskCompleted ask/1', 'TaskCompleted wait/1', 'TaskFailed again/1', 'TaskFailed refuse/1', 'TaskRetryScheduled again/2', 'TaskTimedOut late/1']);
}, 60_000);
