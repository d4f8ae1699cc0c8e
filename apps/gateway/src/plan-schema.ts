import type { OpenAPIObject } from '@nestjs/swagger';
import { limitBounds, plannedLimits } from '#libs/runners';

type AnySchema = NonNullable<NonNullable<OpenAPIObject['components']>['schemas']>[string];
export type Schema = Exclude<AnySchema, { $ref: string }>;

const YEAR_MS = 366 * 24 * 3_600_000;

export const token: Schema = { type: 'string', pattern: '^[A-Za-z0-9_-]{1,64}$' };
const duration = (description: string, minimum = 1): Schema => ({ type: 'integer', minimum, maximum: YEAR_MS, description: `Milliseconds. ${description}` });
const texts: Schema = { type: 'object', additionalProperties: { type: 'string' } };

const reference: Schema = {
  type: 'object',
  title: 'secret',
  required: ['$secret'],
  additionalProperties: false,
  properties: { $secret: { ...token, description: "A secret's name; its value takes this place when an attempt starts." } },
};
const joined: Schema = {
  type: 'object',
  title: 'text with secrets in it',
  required: ['$join'],
  additionalProperties: false,
  properties: { $join: { type: 'array', minItems: 1, maxItems: 64, items: { oneOf: [{ type: 'string' }, reference] } } },
};
const textOrSecret: Schema = { oneOf: [{ type: 'string' }, reference, joined] };

const input = (title: string, description: string, properties: Readonly<Record<string, Schema>>): Schema => ({
  type: 'object',
  title,
  description,
  additionalProperties: false,
  properties,
});

const commandInput = input('command', 'A process. Either argv, run without a shell, or script together with shell.', {
  argv: { type: 'array', minItems: 1, maxItems: 4096, items: { type: 'string' }, description: 'Program and arguments, each as it is written.' },
  shell: { type: 'string', enum: ['sh', 'bash'], description: 'Required with script.' },
  script: { type: 'string', description: 'Handed to the shell.' },
  cwd: { type: 'string', description: "Relative to the execution's own directory, or absolute inside an allowed root." },
  env: { type: 'object', additionalProperties: textOrSecret, description: 'Names starting with RUNLEDGER_ are set by Runledger.' },
  stdin: textOrSecret,
  successExitCodes: { type: 'array', items: { type: 'integer', minimum: 0, maximum: 255 }, default: [0] },
  maxOutputBytes: { type: 'integer', minimum: 0, description: 'Kept of both streams together.' },
  graceMs: { type: 'integer', minimum: 0, maximum: 600_000, description: 'Milliseconds between TERM and KILL.' },
  markers: { type: 'boolean', description: 'Whether STEP_START:, ARTIFACT:, META: and their like on standard output become steps, artifacts and metadata; default true.' },
  network: { type: 'boolean', description: 'Asks for the network, where the policy leaves that to the plan.' },
  limits: {
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(plannedLimits.map((name) => [name, { type: 'integer', minimum: limitBounds[name][0], maximum: limitBounds[name][1] }])),
    description: "Tighter than the policy's, of each process; processes: of the attempt, in a sandbox.",
  },
});

const httpInput: Schema = {
  ...input('http', 'A request. Private addresses are refused unless the executor allows them.', {
    url: { type: 'string', format: 'uri', description: 'http or https, without credentials.' },
    method: { type: 'string', enum: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'], default: 'GET' },
    headers: { type: 'object', additionalProperties: textOrSecret },
    body: { description: 'A text is sent as it is, anything else as JSON; secrets anywhere in it. Not with GET and HEAD.' },
    expectStatus: { type: 'array', items: { type: 'integer', minimum: 100, maximum: 599 }, description: 'Default 200 to 299.' },
    maxResponseBytes: { type: 'integer', minimum: 0, maximum: 32_768, description: "Kept of the answer's body." },
  }),
  required: ['url'],
};

const waitInput = input('wait', 'Exactly one of the two.', {
  durationMs: duration('How long.', 0),
  until: { type: 'string', format: 'date-time', description: 'RFC 3339 with its zone.' },
});

const signalInput: Schema = {
  ...input('signal', 'Waits for a signal; its result is { payload, receivedAt, by }.', { name: { ...token, description: 'Each signal of this name is taken by one task.' } }),
  required: ['name'],
};

const approvalInput: Schema = {
  ...input('approval', 'Asks people; its result is { decision, answers }. One rejection fails it with REJECTED.', {
    title: { type: 'string', minLength: 1, maxLength: 200 },
    description: { type: 'string', maxLength: 4_000 },
    approvers: {
      type: 'array',
      maxItems: 100,
      items: { type: 'string' },
      description: 'Who may answer: user:ada, key:<id>, user:* (a prefix), role:approver. Without it whoever has the permission. Who requested the execution may not, unless they are named here.',
    },
    required: { oneOf: [{ type: 'string', enum: ['any', 'all'] }, { type: 'integer', minimum: 1, maximum: 100 }], description: 'Approvals that it takes, each of another person; default any: one.' },
    expiresInMs: duration('From its start.'),
    onExpiry: { type: 'string', enum: ['reject', 'approve', 'fail'], description: 'Default reject; fail can be tried again.' },
    delegable: { type: 'boolean', default: false, description: 'Whether who may answer may leave it to somebody else.' },
  }),
  required: ['title'],
};

const eventInput: Schema = {
  ...input('event', 'Waits for an event of another execution of the tenant; its result is { id, subject, type, time, execution, position, data }.', {
    subject: { type: 'string', description: 'Below events.<tenant>: <execution>.<entity>.<verb>, with * for one of them and > for the rest: *.execution.completed.' },
    match: { type: 'object', description: "Fields that the event's data has to have, with exactly these values." },
  }),
  required: ['subject'],
};

export const labelsSchema: Schema = {
  ...texts,
  maxProperties: 32,
  description: 'Keys match ^[A-Za-z0-9_.-]{1,64}$, values are 1 to 256 printable characters.',
};

const executionInput: Schema = {
  ...input('execution', 'Is an execution of its own; its result is { execution, status, result }, with resultOmitted instead of result beyond 30 KiB.', {
    plan: { type: 'object', description: 'A plan as any other, at most eight within one another. Templates in it are its own: they name its input and its tasks.' },
    input: { type: 'object', description: 'Of the execution; default {}.' },
    name: { type: 'string', minLength: 1, maxLength: 200, description: "Default: the plan's." },
    labels: { ...labelsSchema, description: "Beside its parent's; workspace stays its parent's." },
  }),
  required: ['plan'],
};

const noopInput = input('noop', 'Nothing is done.', { result: { type: 'object', description: "The task's result; default {}." } });

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
    runner: { type: 'string', enum: ['command', 'http', 'wait', 'signal', 'approval', 'event', 'execution', 'noop'] },
    input: {
      description:
        "The runner's own. `{{ expression }}` in any text of it becomes what it results in; a text that is nothing else becomes the value itself, with its type, wherever one of that type may stand.",
      oneOf: [commandInput, httpInput, waitInput, signalInput, approvalInput, eventInput, executionInput, noopInput],
    },
    dependsOn: { type: 'array', items: token, description: 'Tasks that must have ended well before.' },
    retry,
    timeoutMs: duration('One attempt.'),
    scheduleToStartMs: duration('A task that is due fails when no attempt of it has started so long after, pauses apart.'),
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

/** The body that a secret comes in. */
export const secretSchema: Schema = {
  type: 'object',
  required: ['value'],
  additionalProperties: false,
  properties: { value: { type: 'string', writeOnly: true, minLength: 4, description: 'At most 16 KiB.' } },
};

/** The body that a clarification is answered with. */
export const responseSchema: Schema = {
  type: 'object',
  required: ['decision'],
  additionalProperties: false,
  properties: { decision: { type: 'string', enum: ['approve', 'reject'] }, reason: { type: 'string', minLength: 1, maxLength: 500 } },
};

export const delegationSchema: Schema = {
  type: 'object',
  required: ['to'],
  additionalProperties: false,
  properties: { to: { type: 'string', description: 'An actor: user:ada, key:<id>.' } },
};

export const exampleResponse = { decision: 'approve', reason: 'read and tried' } as const;
export const exampleDelegation = { to: 'user:grace' } as const;

/** Runs as it stands. */
export const exampleSecret = { value: 'correct-horse-battery-staple' } as const;

/** Each runs as it stands, on any machine with a shell. */
export const exampleRequests = {
  hello: {
    plan: {
      name: 'hello',
      tasks: [
        { id: 'greet', runner: 'command', input: { argv: ['echo', 'hello'] } },
        { id: 'done', runner: 'noop', dependsOn: ['greet'] },
      ],
    },
    labels: { team: 'docs' },
  },
  diamond: {
    plan: {
      name: 'diamond',
      concurrency: 2,
      timeoutMs: 60_000,
      tasks: [
        { id: 'prepare', runner: 'command', input: { argv: ['date', '-u'] } },
        { id: 'left', runner: 'command', input: { argv: ['sleep', '0.2'] }, dependsOn: ['prepare'], timeoutMs: 5_000 },
        { id: 'right', runner: 'wait', input: { durationMs: 200 }, dependsOn: ['prepare'] },
        {
          id: 'report',
          runner: 'command',
          input: { shell: 'sh', script: 'echo "attempt $RUNLEDGER_ATTEMPT"; [ "$RUNLEDGER_ATTEMPT" -ge 2 ]' },
          dependsOn: ['left', 'right'],
          retry: { maxAttempts: 3, backoff: 'exponential', delayMs: 200 },
        },
      ],
    },
    labels: { team: 'docs' },
  },
  release: {
    plan: {
      name: 'release',
      tasks: [
        { id: 'approve', runner: 'approval', input: { title: 'Release 1.2?', description: 'The notes are in the wiki.' } },
        { id: 'sign', runner: 'approval', input: { title: 'Sign 1.2?', approvers: ['role:admin'], delegable: true, expiresInMs: 86_400_000 } },
        { id: 'publish', runner: 'command', input: { argv: ['echo', 'published'] }, dependsOn: ['approve', 'sign'] },
      ],
    },
    labels: { team: 'docs' },
  },
  saga: {
    plan: {
      name: 'saga',
      tasks: [
        { id: 'reserve', runner: 'noop', input: { result: { seat: '12A' } } },
        { id: 'release', runner: 'command', compensates: 'reserve', input: { argv: ['echo', 'seat {{ tasks.reserve.result.seat }} is free again'] } },
        { id: 'pay', runner: 'command', input: { argv: ['false'] }, dependsOn: ['reserve'] },
      ],
    },
    labels: { team: 'docs' },
  },
  conditional: {
    plan: {
      name: 'conditional',
      tasks: [
        { id: 'measure', runner: 'noop', input: { result: { size: 12, names: ['a', 'b'] } } },
        {
          id: 'report',
          runner: 'command',
          input: { argv: ['echo', '{{ tasks.measure.result.size }} of {{ execution.name }}:', '{{ tasks.measure.result.names.join(", ") }}'] },
          dependsOn: ['measure'],
        },
        { id: 'alert', runner: 'noop', dependsOn: ['measure'], when: 'tasks.measure.result.size > 100' },
      ],
    },
    labels: { team: 'docs' },
  },
  fanOut: {
    plan: {
      name: 'fan-out',
      tasks: [
        { id: 'find', runner: 'noop', input: { result: { names: ['ada', 'grace', 'barbara'] } } },
        {
          id: 'greet',
          runner: 'command',
          dependsOn: ['find'],
          forEach: { items: '{{ tasks.find.result.names }}', concurrency: 2 },
          input: { argv: ['echo', '{{ index }}: hello {{ item }}'] },
        },
        { id: 'count', runner: 'noop', dependsOn: ['greet'], input: { result: { greeted: '{{ tasks.greet.result.count }}' } } },
      ],
    },
    labels: { team: 'docs' },
  },
  loop: {
    plan: {
      name: 'loop',
      tasks: [
        {
          id: 'double',
          runner: 'noop',
          loop: { until: 'result.n > 100', maxIterations: 20 },
          input: { result: { n: '{{ iteration == 0 ? 1 : result.n * 2 }}' } },
        },
      ],
    },
    labels: { team: 'docs' },
  },
  nap: {
    plan: { name: 'nap', tasks: [{ id: 'nap', runner: 'wait', input: { durationMs: 600_000 } }] },
    labels: { team: 'docs' },
  },
} as const;

export type ExampleName = keyof typeof exampleRequests;
