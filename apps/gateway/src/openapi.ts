import { applyDecorators } from '@nestjs/common';
import type { OpenAPIObject } from '@nestjs/swagger';
import { ApiBody, ApiHeader, ApiOperation, ApiParam, ApiQuery, ApiResponse } from '@nestjs/swagger';

type Schema = NonNullable<NonNullable<OpenAPIObject['components']>['schemas']>[string];

const example = {
  plan: {
    name: 'hello',
    tasks: [
      { id: 'greet', runner: 'command', input: { argv: ['echo', 'hello'] } },
      { id: 'done', runner: 'noop', dependsOn: ['greet'] },
    ],
  },
  labels: { team: 'docs' },
};

const duration: Schema = { type: 'integer', minimum: 1, description: 'milliseconds' };
const token: Schema = { type: 'string', pattern: '^[A-Za-z0-9_-]{1,64}$' };

const taskSchema: Schema = {
  type: 'object',
  required: ['id', 'runner'],
  additionalProperties: false,
  properties: {
    id: token,
    runner: { type: 'string', enum: ['command', 'http', 'wait', 'noop'] },
    input: {
      type: 'object',
      description:
        'command: {argv} without a shell, or {shell: sh|bash, script}; also cwd, env, stdin, successExitCodes, maxOutputBytes, graceMs, markers. ' +
        'http: {url, method, headers, body, expectStatus, maxResponseBytes}. wait: {durationMs} or {until}. noop: {result}.',
    },
    dependsOn: { type: 'array', items: token, description: 'Tasks that must have ended well before.' },
    retry: {
      type: 'object',
      required: ['maxAttempts'],
      properties: {
        maxAttempts: { type: 'integer', minimum: 1, maximum: 100 },
        backoff: { type: 'string', enum: ['fixed', 'linear', 'exponential'] },
        delayMs: { type: 'integer', minimum: 0 },
        maxDelayMs: { type: 'integer', minimum: 0 },
      },
    },
    timeoutMs: { ...duration, description: 'One attempt, milliseconds.' },
    onFailure: { type: 'string', enum: ['skip', 'stop', 'continue'], description: 'After the last attempt; default skip: what depends on it.' },
    onLost: { type: 'string', enum: ['retry', 'fail'], description: 'When its executor died; default retry.' },
  },
};

const requestSchema: Schema = {
  type: 'object',
  required: ['plan'],
  additionalProperties: false,
  properties: {
    plan: {
      type: 'object',
      required: ['name', 'tasks'],
      additionalProperties: false,
      properties: {
        name: { type: 'string', minLength: 1, maxLength: 200 },
        tasks: { type: 'array', minItems: 1, maxItems: 10_000, items: taskSchema },
        concurrency: { type: 'integer', minimum: 1, description: 'Tasks of this execution that run at once.' },
        timeoutMs: { ...duration, description: 'The whole execution, milliseconds.' },
      },
    },
    name: { type: 'string', maxLength: 200, description: "Default: the plan's name." },
    labels: { type: 'object', additionalProperties: { type: 'string', maxLength: 256 } },
    input: { type: 'object', description: 'Handed to every task.' },
  },
};

const problemSchema: Schema = {
  type: 'object',
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { type: 'string', description: 'Stable; what programs go by.' },
    detail: { type: 'string', description: 'What, why, and what to do.' },
    instance: { type: 'string' },
    correlationId: { type: 'string' },
    problems: { type: 'array', items: { type: 'object', properties: { path: { type: 'string' }, message: { type: 'string' } } } },
  },
};

const refusal = (status: number, description: string): MethodDecorator =>
  ApiResponse({ status, description, content: { 'application/problem+json': { schema: problemSchema } } }) as MethodDecorator;

const tenant = ApiHeader({ name: 'X-Tenant-ID', required: false, description: "Default: the server's own tenant." });
const id = ApiParam({ name: 'id', schema: token });
const unknown = refusal(404, 'EXECUTION_NOT_FOUND');
const unavailable = refusal(503, 'LOG_UNAVAILABLE, OUTCOME_UNKNOWN, PROJECTION_UNAVAILABLE: try again after Retry-After seconds');
const query = (name: string, description: string): MethodDecorator => ApiQuery({ name, required: false, description, type: String });

const read = (summary: string, ...more: MethodDecorator[]): MethodDecorator =>
  applyDecorators(tenant, id, ApiOperation({ summary }), ApiResponse({ status: 200 }), unknown, unavailable, ...more);

const control = (summary: string, properties: object = {}): MethodDecorator =>
  applyDecorators(
    tenant,
    id,
    ApiOperation({ summary }),
    ApiBody({ required: false, schema: { type: 'object', properties: { reason: { type: 'string', maxLength: 500 }, ...properties } } }),
    ApiResponse({ status: 200, description: '`changed` is false where it was satisfied already.' }),
    unknown,
    refusal(409, 'EXECUTION_TERMINAL, EXECUTION_CANCELLING'),
    unavailable,
  );

/** What the API description says of each route. */
export const describe = {
  request: () =>
    applyDecorators(
      tenant,
      ApiOperation({ summary: 'Request an execution of a plan' }),
      ApiBody({ schema: requestSchema, examples: { hello: { summary: 'A command and what follows it', value: example } } }),
      ApiResponse({ status: 202, description: 'Durable. Location is where to read it.' }),
      refusal(400, 'BODY_INVALID, PLAN_INVALID: `problems` holds the path to each fault'),
      refusal(413, 'BODY_TOO_LARGE, COMMIT_TOO_LARGE'),
      unavailable,
    ),
  list: () =>
    applyDecorators(
      tenant,
      ApiOperation({ summary: 'List executions, newest first' }),
      query('status', 'One or several, separated by commas.'),
      query('label', 'key=value; repeat it for several.'),
      query('name', 'Exact, or with a trailing * a prefix.'),
      query('from', 'Requested at or after, RFC 3339.'),
      query('until', 'Requested before, RFC 3339.'),
      query('limit', '1 to 1000, default 50.'),
      query('cursor', '`next` of the page before.'),
      ApiResponse({ status: 200 }),
      refusal(400, 'QUERY_INVALID, CURSOR_INVALID'),
      unavailable,
    ),
  detail: () => read('Read an execution'),
  tasks: () => read('Its tasks, with their steps'),
  events: () =>
    read('Everything that happened, from the log', query('after', 'Position of the last event read.'), query('limit', '1 to 1000.')),
  output: () =>
    read(
      'Output of its tasks',
      query('task', 'One task only.'),
      query('stream', 'stdout or stderr.'),
      query('after', 'Position of the last chunk read.'),
      query('limit', 'Chunks.'),
      query('format', 'json, or raw: the bytes as they were written.'),
    ),
  control,
  cancel: () =>
    control('Cancel: the rest is skipped', {
      mode: { type: 'string', enum: ['graceful', 'immediate'], description: 'graceful lets running tasks finish; default immediate.' },
    }),
};
