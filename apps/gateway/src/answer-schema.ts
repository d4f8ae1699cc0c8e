import { type Schema, labelsSchema, token } from './schema.js';

const text: Schema = { type: 'string' };
const integer: Schema = { type: 'integer' };
const time: Schema = { type: 'string', format: 'date-time' };
const orNull = (schema: Schema): Schema => ({ ...schema, nullable: true });
const anObject: Schema = { type: 'object' };
const listOf = (items: Schema): Schema => ({ type: 'array', items });
const object = (properties: Readonly<Record<string, Schema>>): Schema => ({ type: 'object', properties });

const asOfSeq: Schema = { ...integer, description: 'The log sequence up to which this answer knows.' };
const status: Schema = { type: 'string', enum: ['pending', 'running', 'paused', 'cancelling', 'completed', 'failed', 'cancelled'] };
const next: Schema = orNull({ ...text, description: 'Leads to the next page; null on the last.' });

const carriesOn = { kind: { type: 'string', enum: ['retry', 'rerun', 'fork'] } } satisfies Readonly<Record<string, Schema>>;

const summary = {
  id: token,
  name: text,
  status,
  labels: labelsSchema,
  dialect: text,
  origin: orNull({
    ...object({ execution: token, ...carriesOn, sequence: { ...integer, description: 'Of the last commit of it that counts.' }, task: orNull({ ...token, description: 'Of a rerun: from where on all ran anew.' }) }),
    description: 'The execution that it carries on.',
  }),
  parent: orNull({ ...object({ execution: token, task: token, attempt: integer, depth: integer }), description: 'The attempt of another execution that this one is; null where a client requested it.' }),
  requestedAt: time,
  startedAt: orNull(time),
  endedAt: orNull(time),
  tasks: object({ total: integer, ended: integer, failed: integer }),
  version: { ...integer, description: 'Of its last commit: 1, 2, 3 … without gaps.' },
  sequence: { ...integer, description: 'Of its last commit in the log.' },
};

const failure: Schema = orNull(anObject);

const step = object({
  id: text,
  name: text,
  status: { type: 'string', enum: ['pending', 'running', 'completed', 'failed', 'skipped'] },
  startedAt: time,
  endedAt: orNull(time),
  error: orNull(text),
  metadata: anObject,
});

const task = object({
  id: token,
  runner: text,
  status: { type: 'string', enum: ['pending', 'assigned', 'running', 'completed', 'failed', 'skipped', 'cancelled'] },
  dependsOn: listOf(token),
  parent: orNull({ ...token, description: 'The task of which it is one of the items or iterations; they follow it in the list.' }),
  item: { nullable: true, description: 'What it is for, where it is one of a fan-out.' },
  attempt: integer,
  startedAt: orNull(time),
  endedAt: orNull(time),
  retryAt: orNull(time),
  result: orNull(anObject),
  error: failure,
  waitsFor: orNull({ ...object({ kind: { type: 'string', enum: ['time', 'signal', 'approval', 'event', 'execution', 'tasks'] }, name: text }), description: 'While it runs and nothing runs in it.' }),
  subExecution: orNull({ ...token, description: 'The execution that its current or last attempt is.' }),
  why: orNull({ ...text, description: 'Why it was skipped.' }),
  progress: orNull({ ...object({ done: integer, failed: integer, total: integer }), description: 'How far it has come, where its runner tells.' }),
  carriedFrom: orNull({ ...token, description: 'The execution that it ended in, and that has its output, where that was another one.' }),
  steps: listOf(step),
});

const event = object({
  id: { ...text, description: '<execution>/<version>/<index>' },
  position: { ...text, description: '<log sequence>/<index>' },
  type: text,
  at: time,
  storedAt: { ...time, description: "The broker's clock." },
  cause: { ...text, description: 'The command or attempt that it comes from.' },
  actor: text,
  correlationId: text,
  data: anObject,
});

const chunk = object({
  position: integer,
  task: token,
  attempt: integer,
  stream: { type: 'string', enum: ['stdout', 'stderr'] },
  time,
  truncated: { type: 'boolean', description: 'Present and true where output ends here although the task wrote more.' },
  text: { ...text, description: 'Where the chunk is UTF-8.' },
  base64: { ...text, description: 'Where it is not.' },
});

const moment = { time, sequence: integer };

const wait = object({
  kind: { type: 'string', enum: ['resume', 'request', 'attempt', 'timer', 'signal', 'approval', 'event', 'execution', 'retry', 'executor', 'concurrency', 'tasks', 'dependencies', 'compensation'] },
  task: orNull({ ...token, description: 'The task that waits; null for the execution itself.' }),
  text: { ...text, description: 'For people.' },
  since: object(moment),
  until: orNull({ ...time, description: 'Null where no time ends it.' }),
  endedBy: listOf(object({ kind: { type: 'string', enum: ['time', 'task', 'executor', 'client', 'event', 'execution'] }, name: text })),
});

const why = object({
  id: token,
  status,
  waitsFor: { ...listOf(wait), description: 'Nearest to going on first; at most 100.' },
  total: { ...integer, description: 'How many there are.' },
  deadlineAt: orNull({ ...time, description: 'When it fails by itself.' }),
  ended: orNull(object({ ...moment, reason: failure })),
  asOfSeq,
});

const clarification = object({
  execution: token,
  task: token,
  attempt: integer,
  title: text,
  description: orNull(text),
  status: { type: 'string', enum: ['pending', 'approved', 'rejected', 'expired', 'withdrawn'], description: 'withdrawn: its attempt has ended otherwise.' },
  approvers: { ...listOf(text), description: 'Who may answer; empty: whoever has the permission.' },
  required: { ...integer, description: 'Approvals that it takes.' },
  approvals: { ...integer, description: 'Approvals that it has.' },
  delegable: { type: 'boolean' },
  requestedAt: time,
  expiresAt: orNull(time),
  onExpiry: { type: 'string', enum: ['reject', 'approve', 'fail'] },
  endedAt: orNull(time),
  answers: listOf(
    object({ by: text, decision: orNull({ type: 'string', enum: ['approve', 'reject'] }), to: orNull({ ...text, description: 'Whom they have left it to.' }), reason: orNull(text), at: time }),
  ),
});

const hash: Schema = { ...text, description: 'SHA-256, base64url.' };
const place = { incarnation: text, sequence: integer, hash: { ...hash, description: 'Of the commit there: SHA-256, base64url.' } };

const rebuild = object({
  id: text,
  phase: { type: 'string', enum: ['replaying', 'comparing', 'swapping', 'done', 'failed'] },
  startedAt: time,
  endedAt: orNull(time),
  sequence: { ...integer, description: 'How far the log has been replayed.' },
  target: { ...integer, description: 'The log sequence at which live and rebuilt rows are compared.' },
  digest: orNull({ ...object({ live: hash, rebuilt: hash }), description: 'Over all rows; null until they are compared.' }),
  differs: { ...listOf(text), description: 'Tables whose rows differed; the rebuilt ones are live now.' },
  error: orNull(text),
});

const projection = object({
  name: text,
  asOfSeq,
  position: orNull({ ...object(place), description: 'Of the last commit applied.' }),
  rebuild: orNull({ ...rebuild, description: 'The one under way, or the last.' }),
  losses: {
    ...listOf(object({ ...place, foundAt: time, why: text })),
    description: 'What the projection had read and the log no longer holds; kept until a rebuild is asked for.',
  },
});

const controlled = { id: token, status, sequence: integer };

const apiKey = {
  id: text,
  tenant: token,
  name: text,
  roles: listOf(text),
  scopes: { ...listOf(text), description: 'Of what the roles grant, only this. Absent: all of it.' },
  workspaces: { ...listOf(token), description: 'Absent: all of the tenant.' },
  createdAt: time,
  createdBy: text,
  expiresAt: time,
  revokedAt: time,
};

const auditRecord = object({
  id: text,
  at: time,
  tenant: token,
  actor: { ...text, description: '`key:<id>`, `user:<subject>`, or `anonymous`.' },
  permission: text,
  method: text,
  route: text,
  target: { ...text, description: 'Id of what it was about, or of what it made.' },
  status: { ...integer, description: 'HTTP status of the answer.' },
  code: { ...text, description: 'Of the refusal.' },
  address: text,
  correlationId: text,
  userAgent: text,
  omitted: { ...integer, description: 'Refusals of the same actor and address before this one that got no record of their own.' },
});

const secret = {
  name: token,
  version: { ...integer, description: '1, 2, 3 … with every value it is given.' },
  createdAt: time,
  updatedAt: time,
};

const successors: Schema = { ...listOf(object({ id: token, ...carriesOn })), description: 'Executions that carry it on, the newest first, at most 100. Absent where the read model knows of none.' };

/** What the routes answer. */
export const answers = {
  accepted: object({ ...controlled, links: object({ self: text, tasks: text, events: text, output: text }) }),
  succeeded: object({ ...controlled, origin: object({ execution: token, ...carriesOn, sequence: integer, task: token }), links: object({ self: text, tasks: text, events: text, output: text }) }),
  controlled: object({ ...controlled, changed: { type: 'boolean', description: 'False where it was satisfied already.' } }),
  list: object({ executions: listOf(object(summary)), next, asOfSeq }),
  detail: object({ ...summary, input: anObject, result: orNull(anObject), reason: failure, cancel: orNull(anObject), metadata: { type: 'object', additionalProperties: text, description: 'What its attempts have said of it (META:key:value): the last value of each key.' }, successors, asOfSeq }),
  tasks: object({ tasks: listOf(task), asOfSeq }),
  clarifications: object({ clarifications: listOf(clarification), asOfSeq }),
  pending: object({ clarifications: listOf(clarification), next, asOfSeq }),
  dryRun: object({
    dryRun: { type: 'boolean', enum: [true] },
    matched: { ...integer, description: 'How many there are now.' },
    byStatus: { type: 'object', additionalProperties: integer },
    examples: { ...listOf(object(summary)), description: 'The newest five, for those who may read executions.' },
    asOfSeq,
  }),
  why,
  events: object({ events: listOf(event), next }),
  output: object({ chunks: listOf(chunk), next: orNull({ ...integer, description: '`after` of the next page; null on the last.' }) }),
  stats: object({ asOfSeq, executions: anObject, tasks: anObject, byRunner: anObject, byLabel: anObject, storage: object({ bytes: { ...integer, description: 'Of all commits in the log.' } }), throughput: listOf(anObject) }),
  projections: object({ projections: listOf(projection) }),
  projection,
  rebuild,
  newKey: object({ ...apiKey, token: orNull({ ...text, description: 'Shown here and never again; null where the request came again.' }) }),
  key: object(apiKey),
  secret: object(secret),
  secrets: object({ secrets: listOf(object(secret)) }),
  keys: object({ keys: listOf(object(apiKey)) }),
  audit: object({
    records: listOf(auditRecord),
    next: orNull({ ...integer, description: '`cursor` of the next page; null on the last. A page with a next may hold less than its limit, even nothing.' }),
  }),
  health: object({ status: text, service: text, version: text, uptime: { ...integer, description: 'Seconds.' } }),
  ready: object({
    status: { type: 'string', enum: ['ready', 'unavailable'] },
    dependencies: { type: 'object', additionalProperties: text, description: '`up`, or what is wrong.' },
  }),
  root: object({ name: text, version: text, links: anObject }),
  problem: object({
    type: text,
    title: text,
    status: integer,
    code: { ...text, description: 'Stable; what programs go by.' },
    detail: { ...text, description: 'What, why, and what to do.' },
    instance: text,
    correlationId: text,
    problems: listOf(object({ path: { ...text, description: 'JSON pointer from the body.' }, message: text })),
  }),
} as const;
