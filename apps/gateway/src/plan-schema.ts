import { runnerInputs } from './runner-input-schema.js';
import { type Schema, duration, labelsSchema, token } from './schema.js';

const errorCodes = (description: string): Schema => ({
  type: 'array',
  maxItems: 32,
  items: { type: 'string', pattern: '^[A-Z][A-Z0-9_]{0,63}$' },
  description,
});

const retry: Schema = {
  type: 'object',
  required: ['maxAttempts'],
  additionalProperties: false,
  properties: {
    maxAttempts: { type: 'integer', minimum: 1, maximum: 100 },
    backoff: { type: 'string', enum: ['fixed', 'linear', 'exponential'], default: 'exponential' },
    delayMs: duration('Before the second attempt; default 1000.', 0),
    maxDelayMs: duration('At most before any attempt; default 5 minutes, or delayMs where that is longer.', 0),
    jitter: { type: 'number', minimum: 0, maximum: 1, default: 0, description: 'The part of a wait that may be taken off it, so that what failed together is not tried again together.' },
    finalErrors: errorCodes('Final, whatever the runner says.'),
    retryOn: errorCodes('Where any are named, these are retried, whatever the runner says, and all others are final.'),
  },
};

const forEach: Schema = {
  type: 'object',
  required: ['items'],
  additionalProperties: false,
  description:
    'The task is done once for each item, by tasks of their own, <id>--0, <id>--1 and so on; what it says is said of each of them, and its input knows item and index. Its result is { count, results }. Not together with loop.',
  properties: {
    items: {
      description: 'A list, or a text with one template that results in a list: "{{ tasks.find.result.files }}". At most 1,000 items of 128 KiB of JSON in all.',
      oneOf: [
        { type: 'array', maxItems: 1_000, items: {} },
        { type: 'string' },
      ],
    },
    concurrency: { type: 'integer', minimum: 1, maximum: 1_000, description: 'Items that are under way at once, those that wait for another attempt included.' },
    failFast: { type: 'boolean', default: false, description: 'Once an item has failed, no other one starts. Otherwise all are done; the task fails in either case.' },
  },
};

const loop: Schema = {
  type: 'object',
  required: ['until', 'maxIterations'],
  additionalProperties: false,
  description:
    'The task is done again and again, each time by a task of its own, <id>--0, <id>--1 and so on; its input knows iteration, from 0, and result, of the iteration before ({} at first). Its result is { count, result }, of the last one.',
  properties: {
    until: { type: 'string', maxLength: 2_000, description: 'A CEL expression, asked after each iteration, which knows iteration and result of that. Where it is true, the loop is over.' },
    maxIterations: { type: 'integer', minimum: 1, maximum: 1_000, description: 'The task fails with LOOP_EXHAUSTED when it is not over by then.' },
    delayMs: duration('Between the end of an iteration and the start of the next; default 0.', 0),
  },
};

const task: Schema = {
  type: 'object',
  required: ['id', 'runner'],
  additionalProperties: false,
  properties: {
    id: { ...token, description: 'Unique in the plan.' },
    runner: { type: 'string', enum: Object.keys(runnerInputs) },
    input: {
      description:
        "The runner's own. `{{ expression }}` in any text of it becomes what it results in; a text that is nothing else becomes the value itself, with its type, wherever one of that type may stand.",
      oneOf: Object.values(runnerInputs),
    },
    dependsOn: { type: 'array', items: token, description: 'Tasks that must have ended well before.' },
    retry,
    timeoutMs: duration('One attempt.'),
    scheduleToStartMs: duration('A task that is due fails when no attempt of it has started so long after. Waiting for room in the concurrency of the plan counts; pauses do not.'),
    heartbeatMs: duration('An attempt fails that gives no sign of life for so long: output of a command, bytes of an answer.'),
    when: {
      type: 'string',
      maxLength: 2_000,
      description:
        'A CEL expression over input, tasks.<id>.result, tasks.<id>.status, execution.id, execution.name, execution.labels and attempt. Where it is false when the task is due, the task is skipped, and what depends on it goes on.',
    },
    artifacts: {
      type: 'array',
      maxItems: 20,
      items: { type: 'string', minLength: 1, maxLength: 256 },
      description: 'Of a command: files below its working directory that become artifacts when an attempt has ended, such as out/**.',
    },
    compensates: {
      ...token,
      description: 'The task that this one undoes. It runs only where the execution fails or is cancelled gracefully after that one completed, the last completed first; it has neither dependsOn, when nor onFailure.',
    },
    forEach,
    loop,
    onFailure: { type: 'string', enum: ['skip', 'stop', 'continue'], description: 'After the last attempt; default skip: what depends on it.' },
    onLost: { type: 'string', enum: ['retry', 'fail'], description: 'When its executor died; default retry.' },
  },
};

const plan: Schema = {
  type: 'object',
  required: ['name', 'tasks'],
  additionalProperties: false,
  properties: {
    name: { type: 'string', minLength: 1, maxLength: 200 },
    tasks: { type: 'array', minItems: 1, maxItems: 10_000, items: task, description: 'A graph without cycles.' },
    concurrency: { type: 'integer', minimum: 1, description: 'Tasks of this execution that run at once.' },
    timeoutMs: duration('The whole execution.'),
    logArtifact: { type: 'boolean', default: false, description: 'When the execution has ended, all output of its tasks becomes an artifact of type log, output.log.' },
  },
};

/** The body of a request for an execution. */
export const requestSchema: Schema = {
  type: 'object',
  required: ['plan'],
  additionalProperties: false,
  properties: {
    plan,
    name: { type: 'string', minLength: 1, maxLength: 200, description: "Default: the plan's name." },
    labels: labelsSchema,
    input: { type: 'object', description: 'Handed to every task.' },
  },
};
