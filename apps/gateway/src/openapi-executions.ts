import { applyDecorators } from '@nestjs/common';
import { ApiBody, ApiOperation, ApiParam } from '@nestjs/swagger';
import { answers } from './answer-schema.js';
import { exampleRequests } from './example-requests.js';
import { deleted, elsewhere, executions, invalid, keyed, minSeq, ofOneCommand, ok, query, read, refusal, tenant, unavailable, workspace } from './openapi.js';
import { requestSchema } from './plan-schema.js';
import { type Schema, token } from './schema.js';

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

export const describeExecutions = {
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
  control,
  signal,
  cancel: () =>
    control('Cancel: the rest is skipped', {
      mode: { type: 'string', enum: ['graceful', 'immediate'], description: 'graceful lets running tasks finish; default immediate.' },
    }),
};
