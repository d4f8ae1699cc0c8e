import { applyDecorators } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ApiBody, ApiHeader, ApiOperation, ApiParam, ApiQuery, ApiResponse, ApiTags, DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import type { Settings } from '#libs/platform';
import { answers } from './answer-schema.js';
import { exampleKey, newKeySchema } from './api-key-schema.js';
import { addSamples } from './openapi-samples.js';
import { type Schema, delegationSchema, exampleDelegation, exampleRequests, exampleResponse, responseSchema, exampleSecret, requestSchema, secretSchema, token } from './plan-schema.js';
import { serveRedoc } from './redoc.js';

/** Where a client on this machine finds a server that listens there. */
const originOf = (host: string, port: number): string => {
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`;
};

/** The description at /docs-json, a page to try it out at /docs and one to read at /redoc. `tenant`: the one that examples are of. */
export const serveDescription = (app: NestFastifyApplication, version: string, { host, port, tenant }: Settings): void => {
  const description = new DocumentBuilder()
    .setTitle('Runledger')
    .setDescription(
      'Durable execution: every fact about a run is an event in one log.\n\nThe samples run as they stand, those that request executions first: the ' +
        'others read and command what these have made. Once such an execution has ended, give its request another Idempotency-Key, and take the id of the answer.',
    )
    .setVersion(version)
    .build();
  const document = SwaggerModule.createDocument(app, description, {
    autoTagControllers: false,
    // What generated clients name their methods by: executionsRequest, executionsList …
    operationIdFactory: (controller, method) => {
      const name = controller.replace(/Controller$/, '');
      return name.charAt(0).toLowerCase() + name.slice(1) + method.charAt(0).toUpperCase() + method.slice(1);
    },
  });
  addSamples(document, originOf(host, port), tenant);
  SwaggerModule.setup('docs', app, document);
  serveRedoc(app.getHttpAdapter().getInstance());
};

export const ok = (schema: Schema, description = '', status = 200): MethodDecorator => ApiResponse({ status, description, schema }) as MethodDecorator;

export const refusal = (status: number, description: string): MethodDecorator =>
  ApiResponse({ status, description, content: { 'application/problem+json': { schema: answers.problem } } }) as MethodDecorator;

export const tenant = applyDecorators(
  ApiHeader({ name: 'X-Tenant-ID', required: false, description: "Default: the server's own tenant." }),
  ApiHeader({ name: 'X-Correlation-ID', required: false, description: 'Comes back, and stands in the events that the request causes.' }),
) as MethodDecorator;
export const workspace = ApiHeader({
  name: 'X-Workspace-ID',
  required: false,
  schema: { ...token },
  description: 'The workspace to act in: what is requested belongs to it, and lists show what does. Default: the only one of the credentials.',
}) as MethodDecorator;
export const elsewhere = refusal(403, 'FORBIDDEN, WORKSPACE_FORBIDDEN');
const keySchema: Schema = { type: 'string', minLength: 1, maxLength: 255, pattern: '^[\\x21-\\x7e]+$' };
export const keyed = applyDecorators(
  ApiHeader({
    name: 'Idempotency-Key',
    required: false,
    schema: { ...keySchema },
    description:
      'Names this request: sent again, it gets the same answer, with Idempotency-Replayed: true; with another body it is refused. ' +
      'Keys of requests are per tenant, those of commands per execution.',
  }),
) as MethodDecorator;
export const id = ApiParam({ name: 'id', schema: { ...token } });
const invalid = refusal(400, 'ID_INVALID, TENANT_INVALID, QUERY_INVALID, BODY_NOT_JSON, BODY_INVALID');
const deleted = refusal(410, 'EXECUTION_DELETED: when, by whom, and why');
export const unknown = applyDecorators(refusal(404, 'EXECUTION_NOT_FOUND'), deleted) as MethodDecorator;
const unavailable = refusal(503, 'LOG_UNAVAILABLE, OUTCOME_UNKNOWN, PROJECTION_UNAVAILABLE, PROJECTION_BEHIND, SEQUENCE_NOT_REACHED: try again after Retry-After seconds');
export const query = (name: string, description: string, type: 'string' | 'integer' = 'string'): MethodDecorator =>
  ApiQuery({ name, required: false, description, schema: { type } });

export const minSeq = query('minSeq', '`sequence` of an answer to a write: what is answered knows it, or it is 503 with Retry-After.', 'integer');
const asOf = query('asOf', 'A log sequence or an RFC 3339 time: what was known then, from the log.');

export const executions = ApiTags('executions') as MethodDecorator;

const read = (summary: string, schema: Schema, ...more: MethodDecorator[]): MethodDecorator =>
  applyDecorators(executions, tenant, workspace, id, ApiOperation({ summary }), ok(schema), invalid, elsewhere, unknown, unavailable, asOf, minSeq, ...more);

/** What every command to an execution has. */
export const ofOneCommand = applyDecorators(
  executions,
  tenant,
  workspace,
  keyed,
  id,
  elsewhere,
  unknown,
  refusal(503, 'LOG_UNAVAILABLE, OUTCOME_UNKNOWN, EXECUTION_BUSY: try again after Retry-After seconds'),
) as MethodDecorator;

const control = (summary: string, properties: Readonly<Record<string, Schema>> = {}): MethodDecorator =>
  applyDecorators(
    ofOneCommand,
    ApiOperation({ summary }),
    ApiBody({
      required: false,
      schema: {
        type: 'object',
        additionalProperties: false,
        properties: { reason: { type: 'string', minLength: 1, maxLength: 500 }, ...properties },
      },
    }),
    ok(answers.controlled, 'Durable.'),
    invalid,
    refusal(409, 'EXECUTION_TERMINAL, EXECUTION_CANCELLING, IDEMPOTENCY_KEY_REUSED'),
  );

const signal = (): MethodDecorator =>
  applyDecorators(
    ofOneCommand,
    ApiParam({ name: 'name', description: 'What the task that takes it waits for.', schema: { ...token, example: 'go' } }),
    ApiOperation({ summary: 'Send a signal: the task that has waited longest for its name takes it; where none does, it waits for one' }),
    ApiBody({
      required: false,
      schema: {
        type: 'object',
        additionalProperties: false,
        properties: { payload: { type: 'object', description: "Becomes part of the task's result; at most 16 KiB of JSON." } },
      },
    }),
    ok(answers.controlled, 'Durable.'),
    invalid,
    refusal(409, 'EXECUTION_TERMINAL, EXECUTION_CANCELLING, IDEMPOTENCY_KEY_REUSED; SIGNALS_FULL: 100 wait for a task to take them'),
  );

/** What every read of one execution, and every read of a tenant's, has in common. */
export const executionRead = (): MethodDecorator => applyDecorators(executions, tenant, workspace, id, invalid, elsewhere, unknown, unavailable);
export const tenantRead = (): MethodDecorator => applyDecorators(executions, tenant, workspace, invalid, elsewhere, unavailable);

const clarifications = ApiTags('clarifications') as MethodDecorator;
const taskOf = (example: string): MethodDecorator => ApiParam({ name: 'task', description: 'The task that asks.', schema: { ...token, example } }) as MethodDecorator;

const answerTo = (summary: string, task: string, schema: Schema, examples: Readonly<Record<string, { summary: string; value: object }>>): MethodDecorator =>
  applyDecorators(
    clarifications,
    tenant,
    workspace,
    keyed,
    id,
    taskOf(task),
    ApiOperation({ summary }),
    ApiBody({ schema, examples }),
    ok(answers.controlled, 'Durable.'),
    invalid,
    refusal(403, 'FORBIDDEN, WORKSPACE_FORBIDDEN, NOT_AN_APPROVER, SELF_APPROVAL'),
    refusal(404, 'EXECUTION_NOT_FOUND, CLARIFICATION_NOT_FOUND'),
    deleted,
    refusal(409, 'CLARIFICATION_CLOSED, ALREADY_ANSWERED, DELEGATION_REFUSED, IDEMPOTENCY_KEY_REUSED'),
    refusal(503, 'LOG_UNAVAILABLE, OUTCOME_UNKNOWN, EXECUTION_BUSY: try again after Retry-After seconds'),
  );

const projectionName = ApiParam({ name: 'name', description: '`name` in the list of projections.', schema: { type: 'string', example: 'status' } });

const projection = (summary: string, ...more: MethodDecorator[]): MethodDecorator =>
  applyDecorators(ApiTags('projections') as MethodDecorator, ApiOperation({ summary }), refusal(503, 'PROJECTION_UNAVAILABLE'), ...more);

const apiKeys = (summary: string, ...more: MethodDecorator[]): MethodDecorator =>
  applyDecorators(ApiTags('keys') as MethodDecorator, tenant, ApiOperation({ summary }), refusal(503, 'LOG_UNAVAILABLE'), ...more);

const system = (summary: string, schema: Schema, ...more: MethodDecorator[]): MethodDecorator =>
  applyDecorators(ApiTags('system') as MethodDecorator, ApiOperation({ summary }), ok(schema), ...more);

const secretName = ApiParam({ name: 'name', schema: { ...token, example: 'deploy-token' } });

const secrets = (summary: string, ...more: MethodDecorator[]): MethodDecorator =>
  applyDecorators(
    ApiTags('secrets') as MethodDecorator,
    tenant,
    ApiOperation({ summary }),
    refusal(503, 'LOG_UNAVAILABLE, OUTCOME_UNKNOWN; SECRETS_KEY_MISSING: the gateway was started without RUNLEDGER_SECRETS_KEY_FILE'),
    ...more,
  );

/** What the API description says of each route. */
export const describe = {
  request: () =>
    applyDecorators(
      executions,
      tenant,
      workspace,
      keyed,
      ApiOperation({ summary: 'Request an execution of a plan' }),
      ApiBody({
        schema: requestSchema,
        examples: {
          hello: { summary: 'A command and what follows it', value: exampleRequests.hello },
          diamond: { summary: 'A graph: two tasks side by side, one that fails and is tried again', value: exampleRequests.diamond },
          fanOut: { summary: 'A task for each item of what another one has found', value: exampleRequests.fanOut },
          loop: { summary: 'A task that is done until its result will do', value: exampleRequests.loop },
          release: { summary: 'Two approvals', value: exampleRequests.release },
          saga: { summary: 'Something that fails, and is undone', value: exampleRequests.saga },
          nap: { summary: 'Something to pause, resume and cancel', value: exampleRequests.nap },
        },
      }),
      ok(answers.accepted, 'Durable. Location is where to read it.', 202),
      refusal(400, 'TENANT_INVALID, WORKSPACE_INVALID, WORKSPACE_MISSING, IDEMPOTENCY_KEY_INVALID, BODY_EMPTY, BODY_NOT_JSON, BODY_INVALID, PLAN_INVALID: `problems` holds the path to each fault'),
      elsewhere,
      refusal(409, 'IDEMPOTENCY_KEY_REUSED'),
      deleted,
      refusal(413, "BODY_TOO_LARGE: 8 MiB; PLAN_TOO_LARGE: 256 KiB for one task, and for the input and labels together, or the tenant's limit"),
      refusal(415, 'MEDIA_TYPE_UNSUPPORTED, ENCODING_UNSUPPORTED'),
      refusal(429, 'TOO_MANY_REQUESTS, TENANT_LIMIT: try again after Retry-After seconds'),
      refusal(503, 'LOG_UNAVAILABLE, LOG_FULL, LOG_NEARLY_FULL; OUTCOME_UNKNOWN: send it again with the same key, or read it first'),
    ),
  list: () =>
    applyDecorators(
      executions,
      tenant,
      workspace,
      ApiOperation({ summary: 'List executions, newest first' }),
      query('status', 'One or several, separated by commas or repeated.'),
      query('label', 'key=value; repeat it for several, all of which must fit.'),
      query('name', 'Exact, or with a trailing * a prefix.'),
      query('parent', 'Id of an execution: those that its tasks are.'),
      query('from', 'Requested at or after, RFC 3339.'),
      query('until', 'Requested before, RFC 3339.'),
      query('origin', 'Those that carry on this execution: its retries, reruns and forks.'),
      query('limit', '1 to 1000, default 50.', 'integer'),
      query('cursor', '`next` of the page before; also in the Link header.'),
      minSeq,
      ok(answers.list),
      refusal(400, 'TENANT_INVALID, WORKSPACE_INVALID, WORKSPACE_MISSING, QUERY_INVALID, CURSOR_INVALID'),
      elsewhere,
      unavailable,
    ),
  detail: () => read('Read an execution', answers.detail),
  tasks: () => read('Its tasks, with their steps', answers.tasks),
  why: () => read('What it waits for: since when, until when, and who could end that', answers.why),
  events: () =>
    read(
      'Everything that happened, from the log',
      answers.events,
      query('after', 'Position of the last event read.'),
      query('limit', '1 to 1000, default 200.', 'integer'),
    ),
  output: () =>
    read(
      'Output of its tasks, both streams in the order they were written',
      answers.output,
      query('task', 'One task only.'),
      query('stream', 'stdout or stderr.'),
      query('after', 'Position of the last chunk read.', 'integer'),
      query('limit', 'Chunks: 1 to 1000, default 200, of raw 1000. Where there are more, raw says so in Runledger-Next.', 'integer'),
      query('format', 'json, or raw: the bytes as they were written, also with Accept: text/plain.'),
    ),
  control,
  signal,
  cancel: () =>
    control('Cancel: the rest is skipped', {
      mode: { type: 'string', enum: ['graceful', 'immediate'], description: 'graceful lets running tasks finish; default immediate.' },
    }),
  clarifications: () => read('Its clarifications, in the order they were asked', answers.clarifications, clarifications),
  pending: () =>
    applyDecorators(
      clarifications,
      tenant,
      workspace,
      ApiOperation({ summary: 'Clarifications that wait for an answer, longest first' }),
      query('limit', '1 to 200, default 50.', 'integer'),
      query('cursor', '`next` of the page before.'),
      minSeq,
      ok(answers.pending),
      refusal(400, 'TENANT_INVALID, WORKSPACE_INVALID, WORKSPACE_MISSING, QUERY_INVALID, CURSOR_INVALID'),
      elsewhere,
      unavailable,
    ),
  respond: () =>
    answerTo('Approve or reject: one rejection ends it, and so does the last approval that it takes', 'approve', responseSchema, {
      approve: { summary: 'An approval', value: exampleResponse },
    }),
  delegate: () =>
    answerTo('Leave your answer to somebody else', 'sign', delegationSchema, { delegate: { summary: 'To a person', value: exampleDelegation } }),
  projections: () => projection('The read models: how far each knows the log, its rebuild and losses of the log it has met', ok(answers.projections)),
  projection: () => projection('One read model', ok(answers.projection), projectionName, refusal(404, 'PROJECTION_UNKNOWN')),
  rebuild: () =>
    projection(
      'Rebuild it from the log, beside the live rows',
      ok(answers.rebuild, 'Promised: also a projector that is killed does it. The one under way, where there is one. Location is where to see how it goes.', 202),
      projectionName,
      ApiHeader({
        name: 'Idempotency-Key',
        required: false,
        schema: { ...keySchema },
        description: 'Names this rebuild: sent again, it begins no other one, as long as it runs or was the last.',
      }) as MethodDecorator,
      refusal(400, 'IDEMPOTENCY_KEY_INVALID, BODY_INVALID'),
      refusal(403, 'FORBIDDEN, OPERATOR_ONLY'),
      refusal(404, 'PROJECTION_UNKNOWN'),
    ),
  createKey: () =>
    apiKeys(
      'Make an API key: its token is in this answer and nowhere else',
      keyed,
      ApiBody({ schema: newKeySchema, examples: { worker: { summary: 'What a worker needs', value: exampleKey } } }),
      ok(answers.newKey, 'Known to every gateway at once.', 201),
      refusal(400, 'BODY_INVALID, IDEMPOTENCY_KEY_INVALID'),
      refusal(403, 'FORBIDDEN, KEY_TOO_POWERFUL'),
      refusal(409, 'IDEMPOTENCY_KEY_REUSED'),
    ),
  keys: () => apiKeys('API keys of the tenant, newest first', ok(answers.keys)),
  revokeKey: () =>
    apiKeys(
      'Revoke an API key, on every gateway at once; again changes nothing',
      ApiParam({ name: 'id', schema: { type: 'string' } }),
      ok(answers.key),
      elsewhere,
      refusal(404, 'KEY_NOT_FOUND'),
    ),
  audit: () =>
    applyDecorators(
      ApiTags('audit') as MethodDecorator,
      tenant,
      ApiOperation({ summary: 'Who did what, from where, refused or not: the newest first' }),
      query('actor', '`key:<id>`, `user:<subject>`, or `anonymous`.'),
      query('permission', 'What the route needed.'),
      query('outcome', 'done, refused (4xx) or failed (5xx).'),
      query('from', 'Answered at or after, RFC 3339.'),
      query('until', 'Answered before, RFC 3339.'),
      query('limit', '1 to 1000, default 100.', 'integer'),
      query('cursor', '`next` of the page before.', 'integer'),
      ok(answers.audit),
      refusal(400, 'TENANT_INVALID, QUERY_INVALID'),
      refusal(503, 'LOG_UNAVAILABLE'),
    ),
  secrets: () => secrets('Secrets of the tenant by name; nobody is told a value', ok(answers.secrets)),
  putSecret: () =>
    secrets(
      'Store a secret, or give it another value: the next attempt of a task gets that',
      secretName,
      ApiBody({ schema: secretSchema, examples: { token: { summary: 'A token', value: exampleSecret } } }),
      ok(answers.secret, 'Another value; sealed and durable.', 200),
      ok(answers.secret, 'A new secret; sealed and durable.', 201),
      refusal(400, 'ID_INVALID, BODY_NOT_JSON, BODY_INVALID'),
      refusal(409, 'SECRETS_FULL'),
    ),
  deleteSecret: () =>
    secrets(
      'Delete a secret: attempts that refer to it fail from now on',
      secretName,
      ApiResponse({ status: 204, description: 'Gone.' }) as MethodDecorator,
      refusal(400, 'ID_INVALID'),
      refusal(404, 'SECRET_UNKNOWN'),
    ),
  root: () => system('What this is', answers.root),
  health: () => system('The process is alive', answers.health),
  ready: () => system('It can accept commands', answers.ready, ApiResponse({ status: 503, schema: answers.ready }) as MethodDecorator),
  stats: () => system('Counts, durations and throughput', answers.stats, tenant, minSeq, refusal(503, 'PROJECTION_UNAVAILABLE, PROJECTION_BEHIND')),
};
