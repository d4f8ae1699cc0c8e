import { eventTypes } from './events.js';
import { messages } from './generated/schema.js';
import { schemaFault } from './schema.js';

const requested = {
  plan: { name: 'p', tasks: [{ id: 'a', runner: 'noop', input: {}, dependsOn: [], retry: { maxAttempts: 2 } }] },
  name: 'p',
  labels: { team: 'red' },
  input: { any: [1, { thing: null }] },
  dialect: 'canonical',
};
const task = requested.plan.tasks[0];
const withTask = (change: object): object => ({ ...requested, plan: { name: 'p', tasks: [{ ...task, ...change }] } });

describe('the schema', () => {
  it('describes every event type', () => {
    expect(Object.keys(messages)).toEqual(expect.arrayContaining([...eventTypes]));
  });

  it('takes what the contract says, with and without optional fields, and fields of later versions', () => {
    expect(schemaFault('ExecutionRequested', requested)).toBeUndefined();
    expect(schemaFault('ExecutionRequested', withTask({ timeoutMs: 366 * 24 * 3_600_000, onLost: 'fail' }))).toBeUndefined();
    expect(schemaFault('ExecutionRequested', { ...requested, addedLater: { a: 1 } })).toBeUndefined();
    expect(schemaFault('ExecutionStarted', {})).toBeUndefined();
  });

  it.each([
    ['a missing field', { ...requested, name: undefined }, '/name', 'is missing'],
    ['another type', { ...requested, dialect: 3 }, '/dialect', 'must be text'],
    ['null for text', { ...requested, name: null }, '/name', 'must be text'],
    ['a list for an object', { ...requested, input: [] }, '/input', 'must be an object'],
    ['a fault in a list', withTask({ dependsOn: ['b', 7] }), '/plan/tasks/0/dependsOn/1', 'must be text'],
    ['a fault in a map', { ...requested, labels: { 'a/b': 1 } }, '/labels/a~1b', 'must be text'],
    ['no list', { ...requested, plan: { name: 'p', tasks: {} } }, '/plan/tasks', 'must be a list'],
    ['a fault in an optional field', withTask({ retry: { maxAttempts: -1 } }), '/plan/tasks/0/retry/maxAttempts', 'must be an integer from 0, of 32 bits'],
    ['a count beyond its bits', withTask({ retry: { maxAttempts: 2 ** 32 } }), '/plan/tasks/0/retry/maxAttempts', 'must be an integer from 0, of 32 bits'],
    ['text for a fraction', withTask({ retry: { maxAttempts: 2, jitter: 'much' } }), '/plan/tasks/0/retry/jitter', 'must be a number'],
    ['a fraction', withTask({ timeoutMs: 1.5 }), '/plan/tasks/0/timeoutMs', 'must be an integer from 0'],
    ['no object at all', 'x', '', 'must be an object'],
  ])('finds %s', (_, value, path, message) => {
    expect(schemaFault('ExecutionRequested', value)).toEqual({ path, message });
  });

  it.each(['2026-11-20', '2026-11-20T12:00:00', '2026-13-20T12:00:00Z', '2026-11-20T12:00:00+01:00', 5])('takes %j for no time', (at) => {
    expect(schemaFault('TaskRetryScheduled', { taskId: 'a', attempt: 2, at })).toMatchObject({ path: '/at' });
  });
});
