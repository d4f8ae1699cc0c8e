import { limitBounds, plannedLimits } from '#libs/runners';
import { type Schema, duration, labelsSchema, token } from './schema.js';

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

/** What a task's `input` may be, by its runner. */
export const runnerInputs = {
  command: commandInput,
  http: httpInput,
  wait: waitInput,
  signal: signalInput,
  approval: approvalInput,
  event: eventInput,
  execution: executionInput,
  noop: noopInput,
} as const;
