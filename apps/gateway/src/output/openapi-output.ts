import { applyDecorators } from '@nestjs/common';
import { ApiOperation, ApiProduces, ApiResponse } from '@nestjs/swagger';
import { answers } from '../answer-schema.js';
import { elsewhere, executions, id, query, read, refusal, tenant, unknown, workspace } from '../openapi.js';
import { levels } from '#libs/output';
import { MAX_LINES } from './lines-query.js';

const pieces = (): MethodDecorator =>
  read(
    'Output of its tasks, both streams in the order they were written',
    answers.output,
    query('task', 'One task only.'),
    query('stream', 'stdout or stderr.'),
    query('after', 'Position of the last chunk read.', 'integer'),
    query('limit', 'Chunks: 1 to 1000, default 200, of raw 1000. Where there are more, raw says so in Runledger-Next.', 'integer'),
    query('format', 'json, or raw: the bytes as they were written, also with Accept: text/plain.'),
  );

const lines = (): MethodDecorator =>
  applyDecorators(
    executions,
    tenant,
    workspace,
    id,
    elsewhere,
    unknown,
    ApiOperation({
      summary: 'Output of its tasks as lines',
      description:
        'One JSON object a line: position, task, attempt, stream, level, time, text. Colours and other sequences for a terminal are taken out, other control characters stand as visible signs. ' +
        'A line of more than 16 Ki characters comes in pieces that say `continues`. While the execution goes on, what has no end of line yet is left out. ' +
        'Where the answer ends before all was looked at, its last line is {"next": "<after>"}: at `limit`, where 64 MiB were searched in vain, and where following ends before the execution. ' +
        'With `lost` it says that the broker, which was killed, has lost the last of what was told: `next` is behind what is left of it. ' +
        'An answer that breaks off without its last chunk is to be asked for again, behind the last position. While it is followed an empty line may come, so that it is not taken for dead.',
    }),
    ApiProduces('application/x-ndjson', 'text/plain'),
    query('task', 'One task only.'),
    query('stream', 'stdout or stderr.'),
    query('level', `At least this one: ${levels.join(', ')}. A line that names none is error on stderr, info on stdout.`),
    query('search', 'Text that a line has to contain; no pattern.'),
    query('case', 'ignore, or exact: whether upper and lower case are told apart in `search`.'),
    query('after', 'Position of the last line read, or `next` of an answer: that one does not look at the beginning again.'),
    query('tail', `The last so many of the lines that fit, 1 to ${MAX_LINES}; fewer where they have more than 8 Mi characters.`, 'integer'),
    query('limit', `At most so many lines, 1 to ${MAX_LINES}.`, 'integer'),
    query('follow', 'true: goes on with what comes, until the execution has ended, or for ten minutes: then come back with `after`.'),
    query('format', 'ndjson, or text: the lines alone.'),
    ApiResponse({ status: 200, description: 'As it is read: the answer has no length.', content: { 'application/x-ndjson': { schema: { type: 'string' } }, 'text/plain': { schema: { type: 'string' } } } }),
    refusal(400, 'ID_INVALID, TENANT_INVALID, QUERY_INVALID'),
    refusal(429, 'TENANT_LIMIT'),
    refusal(503, 'LOG_UNAVAILABLE, STREAMS_FULL, GATEWAY_STOPPING: try again after Retry-After seconds'),
  );

export const describeOutput = { pieces, lines };
