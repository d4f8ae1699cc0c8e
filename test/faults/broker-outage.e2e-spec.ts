import { setTimeout as passed } from 'node:timers/promises';
import { Stage } from './stage.js';

/** Of a member, the longest there is that an attempt hangs on, in milliseconds. */
const TTL_MS = 3_000;

let stage: Stage;
beforeAll(async () => {
  stage = new Stage();
  await stage.start();
}, 90_000);
afterAll(() => stage.stop());

const requested = async (kind: string): Promise<ReadonlyMap<string, string>> => {
  const names = Array.from({ length: 8 }, (_, i) => `${kind}-${i}`);
  const timer = { id: 'timer', runner: 'wait', input: { durationMs: TTL_MS } };
  const ids = await Promise.all(names.map(async (name) => [name, await stage.request(name, [stage.held(name), timer])] as const));
  await Promise.all(names.map((name) => stage.untilStarted(name, 1)));
  return new Map(ids);
};

/** Each of the two tasks has begun and ended once. */
const nothingIsLost = async (executions: ReadonlyMap<string, string>): Promise<void> => {
  for (const name of executions.keys()) stage.release(name);
  for (const [name, id] of executions) {
    await stage.until(id, 'ExecutionCompleted');
    expect([name, stage.startsOf(name)]).toEqual([name, [1]]);
    const types = (await stage.events(id)).map(({ type }) => type);
    expect(types.filter((type) => type === 'TaskStarted' || type === 'TaskCompleted')).toHaveLength(4);
    expect(types).not.toContain('TaskFailed');
  }
  expect(stage.ends).toEqual([]);
};

// A broker that is gone refuses; one that stands still says nothing, and its connections stay open.
it.each([
  ['is killed', () => stage.broker.end('SIGKILL'), async () => stage.broker.start()],
  ['stands still', async () => stage.broker.pause(), async () => stage.broker.resume()],
])('a broker outage longer than every TTL loses no running attempt: it %s', async (how, goes, comesBack) => {
  const executions = await requested(how.replace(' ', '-'));
  await goes();
  // Some end while nobody can say so, the others when all is well again.
  for (const name of [...executions.keys()].slice(0, 3)) stage.release(name);
  await passed(4 * TTL_MS);
  await comesBack();
  await nothingIsLost(executions);
}, 180_000);
