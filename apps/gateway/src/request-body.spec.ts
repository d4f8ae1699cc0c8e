import { Problem } from './problem.js';
import { parseExecutionRequest } from './request-body.js';

const faultOf = (tasks: readonly object[]): unknown => {
  try {
    parseExecutionRequest({ plan: { name: 'p', tasks } });
  } catch (error) {
    return error instanceof Problem ? [error.code, error.message] : error;
  }
  return undefined;
};

describe('expressions in a requested plan', () => {
  const first = { id: 'a', runner: 'noop' };

  it('are taken where values of any type may come of them', () => {
    const wait = { id: 'b', runner: 'wait', dependsOn: ['a'], when: "tasks.a.status == 'completed'", input: { durationMs: '{{ tasks.a.result.ms }}' } };
    const request = { id: 'c', runner: 'http', dependsOn: ['b'], input: { url: '{{ input.url }}', headers: { authorization: { $join: ['Bearer ', { $secret: 's' }] } } } };
    expect(faultOf([first, wait, request])).toBeUndefined();
  });

  it.each([
    [{ when: 'tasks.a.result.n >' }, '/plan/tasks/1/when'],
    [{ when: 'tasks.z.result.ok' }, "/plan/tasks/1/when: names task 'z'"],
    [{ input: { result: { deep: ['{{ process.env }}'] } } }, "/plan/tasks/1/input/result/deep/0: names 'process'"],
    [{ input: { result: { x: '{{ tasks.b.result }}' } } }, "/plan/tasks/1/input/result/x: names task 'b', on which 'b' does not depend"],
  ])('are refused with the path to the fault: %j', (more, detail) => {
    expect(faultOf([first, { id: 'b', runner: 'noop', dependsOn: ['a'], ...more }])).toEqual(['PLAN_INVALID', expect.stringContaining(detail)]);
  });
});
