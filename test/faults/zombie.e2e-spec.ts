import { eventually } from '#libs/testing';
import type { Victim } from '../chaos/victim.js';
import { type Event, Stage } from './stage.js';

let stage: Stage;
beforeAll(async () => {
  stage = new Stage();
  await stage.start();
}, 90_000);
afterAll(() => stage.stop());

const isOutcome = ({ type, data }: Event): boolean => data.taskId === 'held' && ['TaskCompleted', 'TaskFailed', 'TaskCancelled', 'TaskTimedOut'].includes(type);

it('a zombie executor (SIGSTOP past its membership, SIGCONT) changes nothing its successor decided', async () => {
  const names = Array.from({ length: 12 }, (_, i) => `held-${i}`);
  const ids = new Map<string, string>();
  for (const name of names) ids.set(name, await stage.request(name, [stage.held(name)]));
  const idOf = (name: string): string => ids.get(name) ?? '';
  await Promise.all(names.map((name) => stage.untilStarted(name, 1)));
  const byExecutor = new Map<Victim, string[]>(stage.executors.map((executor) => [executor, []]));
  for (const name of names) byExecutor.get(await stage.executorOf(idOf(name), 1))?.push(name);
  const [[zombie, lost], [successor, kept]] = [...byExecutor].toSorted(([, a], [, b]) => b.length - a.length) as [[Victim, string[]], [Victim, string[]]];
  const [completed, cancelled, ...running] = lost as [string, string, ...string[]];

  zombie.pause();
  await Promise.all(lost.map((name) => stage.untilStarted(name, 2)));
  stage.release(completed, 2);
  await stage.until(idOf(completed), 'ExecutionCompleted');
  await stage.post(`/${idOf(cancelled)}/cancel`);
  await stage.until(idOf(cancelled), 'ExecutionCancelled');
  // Behind its back first attempts end, and well; one of them still runs when it is back.
  for (const name of lost.slice(0, -1)) stage.release(name, 1);
  const decided = new Map(await Promise.all(lost.map(async (name) => [name, await stage.events(idOf(name))] as const)));

  const assigned = stage.assignmentsOf(successor);
  zombie.resume();
  await eventually(() => stage.assignmentsOf(successor) > assigned, { timeoutMs: 60_000, what: 'the successor to share with the zombie again' });
  for (const name of [...running, ...kept]) stage.release(name, 2);
  for (const name of running) await stage.until(idOf(name), 'ExecutionCompleted');
  for (const name of kept) stage.release(name);
  for (const name of kept) await stage.until(idOf(name), 'ExecutionCompleted');
  await eventually(() => stage.commands().length === 0, { timeoutMs: 60_000, what: 'the commands of lost attempts to be gone' });

  for (const name of lost) {
    const events = await stage.events(idOf(name));
    const before = decided.get(name) ?? [];
    expect(events.slice(0, before.length)).toEqual(before);
    expect(stage.startsOf(name)).toEqual([1, 2]);
    const outcomes = events.filter(isOutcome).map(({ type, data }) => [type, data.attempt, data.error?.code]);
    expect(outcomes).toEqual([['TaskFailed', 1, 'ATTEMPT_LOST'], [name === cancelled ? 'TaskCancelled' : 'TaskCompleted', 2, undefined]]);
    if (running.includes(name)) continue;
    expect(events.slice(before.length).filter(({ type }) => type !== 'TaskResultIgnored')).toEqual([]);
  }
  for (const name of kept) expect(stage.startsOf(name)).toEqual([1]);
  expect(stage.ends).toEqual([]);
}, 240_000);
