import { applyDecorators } from '@nestjs/common';
import { ApiBody, ApiConsumes, ApiHeader, ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import { artifactTypes } from '#libs/contracts';
import { deleted, elsewhere, id, keyed, minSeq, ok, query, refusal, tenant, workspace } from './openapi.js';
import { type Schema, token } from './schema.js';

const text: Schema = { type: 'string' };
const time: Schema = { type: 'string', format: 'date-time' };
const orNull = (schema: Schema): Schema => ({ ...schema, nullable: true });
const type: Schema = { type: 'string', enum: [...artifactTypes] };
const expiresAt: Schema = { ...time, description: 'Then it is deleted by itself.' };
const links: Schema = { type: 'object', properties: { self: text, download: text, execution: text } };

const said: Readonly<Record<string, Schema>> = {
  id: token,
  execution: token,
  name: { ...text, description: 'For people.' },
  type,
  tags: { type: 'array', items: text },
  mimeType: { ...text, description: 'By its first bytes.' },
  size: { type: 'integer', description: 'Bytes.' },
  sha256: { ...text, description: 'Of its bytes, in lower-case hex.' },
  public: { type: 'boolean', description: 'Anybody who knows tenant and id may download it, without credentials.' },
};

const uploaded: Schema = { type: 'object', properties: { ...said, description: text, expiresAt, sequence: { type: 'integer' }, links } };

const artifact: Readonly<Record<string, Schema>> = {
  ...said,
  task: orNull({ ...token, description: 'Whose attempt made it; null where somebody uploaded it.' }),
  attempt: orNull({ type: 'integer' }),
  step: orNull(text),
  description: orNull(text),
  createdAt: time,
  createdBy: { ...text, description: 'An actor.' },
  expiresAt: orNull(expiresAt),
};

const list: Schema = {
  type: 'object',
  properties: {
    artifacts: { type: 'array', items: { type: 'object', properties: artifact } },
    next: orNull({ ...text, description: 'Leads to the next page; null on the last.' }),
    asOfSeq: { type: 'integer', description: 'The log sequence up to which this answer knows.' },
  },
};

const form: Schema = {
  type: 'object',
  required: ['file'],
  additionalProperties: false,
  properties: {
    file: { type: 'string', format: 'binary' },
    name: { type: 'string', minLength: 1, maxLength: 255, description: 'For people; default: the name that the file came with.' },
    type: { ...type, description: 'Default: what it looks like.' },
    tags: { type: 'string', description: 'Separated by commas, or repeated; 16 at most.' },
    description: { type: 'string', maxLength: 500 },
    public: { type: 'string', enum: ['true', 'false'] },
    retentionDays: { type: 'integer', minimum: 1, maximum: 3_660 },
    expiresAt: { ...time, description: 'Instead of retentionDays.' },
  },
};

/** Fields of a form; the first is the file, with its name. */
const exampleArtifact = { file: '{"answer":42};filename=answer.json', type: 'report', tags: 'daily,sums', public: 'true' };

const binary = { content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } as Schema } } };

const artifacts = (summary: string, ...more: MethodDecorator[]): MethodDecorator =>
  applyDecorators(ApiTags('artifacts') as MethodDecorator, ApiOperation({ summary }), ...more);

const own = applyDecorators(tenant, workspace) as MethodDecorator;
const away = refusal(503, 'PROJECTION_UNAVAILABLE, PROJECTION_BEHIND, LOG_UNAVAILABLE: try again after Retry-After seconds');
const unknown = refusal(404, 'ARTIFACT_NOT_FOUND');

const filters = (): MethodDecorator =>
  applyDecorators(
    query('task', 'Made by this task.'),
    query('step', 'Made in this step, by its id: <task>.<attempt>.<number>.'),
    query('type', 'One or several, separated by commas or repeated.'),
    query('tag', 'Repeat it for several, all of which must fit.'),
    query('limit', '1 to 200, default 50.', 'integer'),
    query('cursor', '`next` of the page before; also in the Link header.'),
    minSeq,
    ok(list),
  ) as MethodDecorator;

const bytes = (): MethodDecorator =>
  applyDecorators(
    ApiHeader({ name: 'Range', required: false, description: 'bytes=<first>-<last>, bytes=<first>- or bytes=-<how many from the end>; one range.' }),
    ApiHeader({ name: 'If-None-Match', required: false, description: 'An ETag: what has not changed is not sent again.' }),
    ApiHeader({ name: 'If-Match', required: false, description: 'An ETag: something else is not sent.' }),
    ApiHeader({ name: 'If-Range', required: false, description: 'An ETag: of something else everything is sent, not the range.' }),
    ApiResponse({ status: 200, description: 'Its bytes, to be saved: Content-Disposition is attachment, and nothing in it runs. ETag is its SHA-256.', ...binary }),
    ApiResponse({ status: 206, description: 'The range.', ...binary }),
    ApiResponse({ status: 304, description: 'Not changed.' }),
    unknown,
    refusal(412, 'PRECONDITION_FAILED: it is not what If-Match names'),
    refusal(416, 'RANGE_NOT_SATISFIABLE: Content-Range says how many bytes there are'),
    refusal(500, 'ARTIFACT_DAMAGED: its bytes are not there, or not all of them'),
    away,
  ) as MethodDecorator;

/** What the API description says of each route. */
export const describeArtifacts = {
  upload: () =>
    artifacts(
      'Upload a file of an execution, also of one that has ended',
      own,
      keyed,
      id,
      ApiConsumes('multipart/form-data') as MethodDecorator,
      ApiBody({ schema: form, examples: { artifact: { summary: 'A report', value: exampleArtifact } } } as Parameters<typeof ApiBody>[0]) as MethodDecorator,
      ok(uploaded, 'Durable. Location is where to read it.', 201),
      refusal(400, 'ID_INVALID, TENANT_INVALID, IDEMPOTENCY_KEY_INVALID, BODY_EMPTY, MULTIPART_INVALID, FILE_MISSING, FORM_INVALID'),
      elsewhere,
      refusal(404, 'EXECUTION_NOT_FOUND'),
      refusal(409, 'ARTIFACTS_FULL: 1,000 of one execution; IDEMPOTENCY_KEY_REUSED: with another file or other fields'),
      refusal(413, 'ARTIFACT_TOO_LARGE, TENANT_LIMIT, ARTIFACT_STORE_FULL; MULTIPART_TOO_LARGE: 1,000 parts, 16 KiB a field'),
      refusal(415, 'MEDIA_TYPE_UNSUPPORTED, ENCODING_UNSUPPORTED'),
      refusal(503, 'LOG_UNAVAILABLE, ARTIFACT_STORE_MISSING; OUTCOME_UNKNOWN: send it again with the same key'),
    ),
  list: () =>
    artifacts(
      'List artifacts, newest first',
      own,
      query('execution', 'Of one execution.'),
      filters(),
      refusal(400, 'TENANT_INVALID, WORKSPACE_INVALID, WORKSPACE_MISSING, QUERY_INVALID, CURSOR_INVALID'),
      elsewhere,
      away,
    ),
  listOfExecution: () =>
    artifacts('List the artifacts of an execution, newest first', own, id, filters(), refusal(400, 'ID_INVALID, TENANT_INVALID, QUERY_INVALID, CURSOR_INVALID'), elsewhere, refusal(404, 'EXECUTION_NOT_FOUND'), deleted, away),
  detail: () =>
    artifacts('Read what is known of an artifact', own, id, minSeq, ok({ type: 'object', properties: { ...artifact, links } }), refusal(400, 'ID_INVALID, TENANT_INVALID, QUERY_INVALID'), elsewhere, unknown, away),
  download: () => artifacts('Download an artifact, or a range of it', own, id, refusal(400, 'ID_INVALID, TENANT_INVALID'), elsewhere, bytes()),
  downloadPublic: () =>
    artifacts('Download a public artifact, without credentials', ApiParam({ name: 'tenant', schema: { ...token } }) as MethodDecorator, id, bytes()),
  delete: () =>
    artifacts(
      'Delete an artifact, and its bytes',
      own,
      keyed,
      id,
      ApiResponse({ status: 204, description: 'Gone.' }) as MethodDecorator,
      refusal(400, 'ID_INVALID, TENANT_INVALID, IDEMPOTENCY_KEY_INVALID'),
      elsewhere,
      unknown,
      refusal(503, 'LOG_UNAVAILABLE, OUTCOME_UNKNOWN, PROJECTION_UNAVAILABLE, PROJECTION_BEHIND, EXECUTION_BUSY: try again after Retry-After seconds'),
    ),
};
