import { applyDecorators } from '@nestjs/common';
import { ApiHeader, ApiOperation, ApiQuery, ApiResponse } from '@nestjs/swagger';
import { executionRead, refusal, tenantRead } from '../openapi.js';

const query = (name: string, description: string, example?: string): MethodDecorator =>
  ApiQuery({ name, required: false, description, schema: { type: 'string', ...(example !== undefined && { example }) } });

const after = (example?: string): MethodDecorator =>
  query('after', '`position` of the last event that was received; no snapshot comes then. 0/0 is before everything.', example);

const stream = (summary: string, description: string, ...more: MethodDecorator[]): MethodDecorator =>
  applyDecorators(
    ApiOperation({
      summary,
      description:
        `${description}\n\nServer-sent events; a WebSocket on the same address gets the same as JSON messages \`{type, position, …}\`. Each event is a CloudEvent with its position as id: who comes back with ` +
        'that gets what came behind it, every event once, from any gateway. A heartbeat comes every 15 s. Who does not take what is sent gets `event: dropped`, and the connection ends.',
    }),
    ApiResponse({ status: 200, description: 'A snapshot, then events.', content: { 'text/event-stream': { schema: { type: 'string' } } } }),
    ApiHeader({ name: 'Last-Event-ID', required: false, description: 'As `after`, and before it: what browsers send when they come back.' }),
    query('type', 'Events of these types alone, separated by commas or repeated: TaskCompleted.'),
    query('status', 'The events by which an execution comes to one of these, beside those of `type`.'),
    query('task', 'Events of one task alone.'),
    refusal(406, 'NOT_ACCEPTABLE'),
    refusal(429, 'TENANT_LIMIT: so many streams at once'),
    ...more,
  );

/** What the API description says of streams. */
export const describeStream = {
  execution: (): MethodDecorator =>
    applyDecorators(
      executionRead(),
      stream(
        'Follow it live',
        'The snapshot is the execution and its tasks.',
        after(),
        query('until', 'end: the stream ends with the execution.', 'end'),
        query('limit', 'Ends after so many events.'),
      ),
    ),
  tenant: (): MethodDecorator =>
    applyDecorators(
      tenantRead(),
      stream(
        'Follow all executions of the tenant live',
        'The snapshot is the 100 newest executions that fit the labels, as the list shows them.',
        query('label', 'key=value of the execution; repeat it for several, all of which must fit.'),
        query('limit', 'Ends after so many events.', '1'),
        after('0/0'),
        refusal(410, 'CURSOR_EXPIRED: the feed no longer holds what came behind the position'),
      ),
    ),
};
