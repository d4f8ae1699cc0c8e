import { randomBytes, randomUUID } from 'node:crypto';
import fc from 'fast-check';
import type { ExecutionRef } from '#libs/contracts';
import { type Command, decide } from '#libs/execution';
import { OutputStore } from '#libs/jetstream';
import { append, load } from '#libs/ledger';
import { Keys } from './keys.js';
import { type Json, type Service, startService } from './service.js';

/** What can be taken from one tenant's answers and used in the other's requests. */
const kinds = ['execution', 'key', 'secret', 'label', 'idempotency', 'correlation', 'actor', 'cursor', 'auditCursor', 'position', 'sequence'] as const;
type Kind = (typeof kinds)[number];
/** Numbers mean nothing by themselves; all else is of one tenant alone. */
const telling = kinds.filter((kind) => !['auditCursor', 'position', 'sequence'].includes(kind));

const random: Readonly<Record<Kind, () => string>> = {
  execution: randomUUID,
  key: () => randomBytes(8).toString('hex'),
  secret: () => `name-${randomBytes(6).toString('hex')}`,
  label: () => `label-${randomBytes(6).toString('hex')}`,
  idempotency: () => `idempotency-${randomBytes(6).toString('hex')}`,
  correlation: () => `correlation-${randomBytes(6).toString('hex')}`,
  actor: () => `key:${randomBytes(8).toString('hex')}`,
  cursor: () => Buffer.from(JSON.stringify([new Date().toISOString(), randomUUID()])).toString('base64url'),
  auditCursor: () => '7',
  position: () => '3/0',
  sequence: () => '2',
};

class Party {
  /** In everything it says, and never in what the other one says. */
  readonly mark: string;
  readonly had = Object.fromEntries(kinds.map((kind) => [kind, [] as string[]])) as Record<Kind, string[]>;
  /** What it has ever sent may come back. */
  sent = '';
  headers: Record<string, string> = {};
  lastSequence = 0;
  executions = 0;
  readonly deleted = new Set<string>();

  constructor(readonly tenant: string) {
    this.mark = `mark-${tenant}-${randomBytes(6).toString('hex')}`;
  }

  send(value: string): string {
    this.sent += `${value}\n`;
    return value;
  }

  keep(kind: Kind, value: unknown): void {
    if ((typeof value === 'string' || typeof value === 'number') && !this.had[kind].includes(String(value))) this.had[kind].push(String(value));
  }
}

type Operation = {
  readonly method: string;
  readonly path: string;
  readonly queries: readonly string[];
};

type Step = {
  readonly who: 0 | 1;
  readonly operation: number;
  readonly source: 'own' | 'foreign' | 'random';
  readonly pick: number;
  readonly queries: number;
  readonly key: 'none' | 'own' | 'foreign' | 'random';
  readonly tenant: 'none' | 'own' | 'foreign';
};

const step = fc.record<Step>({
  who: fc.constantFrom(0 as const, 1 as const),
  operation: fc.nat(1_000),
  source: fc.constantFrom('own' as const, 'foreign' as const, 'foreign' as const, 'random' as const),
  pick: fc.nat(1_000),
  queries: fc.nat(0xffff),
  key: fc.constantFrom('none' as const, 'none' as const, 'own' as const, 'foreign' as const, 'random' as const),
  tenant: fc.constantFrom('none' as const, 'none' as const, 'none' as const, 'own' as const, 'foreign' as const),
});

const seed = Number(process.env['SEED'] ?? randomBytes(4).readUInt32BE() % 0x7fffffff);

let service: Service;
let keys: Keys;
let operations: readonly Operation[];
let parties: readonly [Party, Party];
beforeAll(async () => {
  service = await startService({ RUNLEDGER_AUTH_ENABLED: 'true', RUNLEDGER_TENANT: 'operator', RUNLEDGER_SECRETS_KEY: randomBytes(32).toString('base64') });
  keys = await Keys.open(service);
  parties = [new Party('one'), new Party('two')];
  for (const party of parties) party.headers = await keys.of('admin', { tenant: party.tenant, name: party.mark });
  const { body } = await service.get('/docs-json');
  type Described = { readonly parameters?: readonly { readonly name: string; readonly in: string }[] };
  operations = Object.entries(body['paths'] as Record<string, Record<string, Described>>).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [] }]) => ({
      method: method.toUpperCase(),
      path,
      queries: parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name),
    })),
  );
}, 30_000);
afterAll(async () => {
  keys.stop();
  await service.stop();
});

type Answer = { readonly status: number; readonly text: string; readonly body: Json };

const isStream = ({ headers }: Response): boolean => headers.get('content-type')?.startsWith('text/event-stream') ?? false;

/** What a stream begins with; it would not end. */
const snapshotOf = async ({ body }: Response): Promise<string> => {
  const reader = body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  while (!/\ndata: .*\n\n/.test(text)) text += (await reader?.read())?.value ?? '\ndata: \n\n';
  await reader?.cancel();
  return text;
};

const call = async (party: Party, method: string, url: string, headers: Record<string, string>, body?: object): Promise<Answer> => {
  const answer = await fetch(service.url + url, {
    method,
    headers: { ...party.headers, ...headers, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = isStream(answer) ? await snapshotOf(answer) : await answer.text();
  // Lines of JSON are none, each by itself.
  const isJson = /[/+]json\b/.test(answer.headers.get('content-type') ?? '');
  return { status: answer.status, text: `${JSON.stringify([...answer.headers])}\n${text}`, body: isJson ? (JSON.parse(text) as Json) : {} };
};

/** Nothing of the other party is in an answer, but what this one has sent itself. */
const expectNothingOf = (other: Party, party: Party, asked: string, { text }: Answer): void => {
  const found = telling.flatMap((kind) => other.had[kind].filter((value) => text.includes(value) && !party.sent.includes(value)));
  if (text.includes(other.mark)) found.push(other.mark);
  expect({ tenant: party.tenant, asked, found }).toEqual({ tenant: party.tenant, asked, found: [] });
};

/** What an executor would: the task ends with a result and output of its own. */
const finish = async (party: Party, ref: ExecutionRef): Promise<void> => {
  const result = { ok: true, result: { said: party.mark } } as const;
  const commands: readonly Command[] = [
    { type: 'StartTask', taskId: 'a', executor: 'e' },
    { type: 'RecordStep', taskId: 'a', attempt: 1, step: { kind: 'started', name: `step ${party.mark}`, metadata: {} } },
    { type: 'RecordOutcome', taskId: 'a', attempt: 1, outcome: result },
  ];
  for (const command of commands) {
    const current = await load(service.log, ref);
    await append(service.log, current, decide(command, current.state, { now: Date.now(), cause: randomUUID(), actor: 'e', correlationId: 'c' }));
  }
  const piece = { attempt: 1, stream: 'stdout', chunk: 1, time: new Date().toISOString(), truncated: false, bytes: Buffer.from(`output ${party.mark}`) } as const;
  await new OutputStore(service.nats).append(ref, 'a', piece);
};

const perform = async (wanted: Step): Promise<void> => {
  const [party, other] = wanted.who === 0 ? parties : [parties[1], parties[0]];
  const operation = operations[wanted.operation % operations.length];
  if (!operation) throw new Error('no operations are described');
  const take = (kind: Kind, source: Step['source'] = wanted.source): string => {
    const pool = source === 'random' ? [] : (source === 'own' ? party : other).had[kind];
    return party.send(pool[wanted.pick % Math.max(1, pool.length)] ?? random[kind]());
  };
  const valueOf: Readonly<Record<string, () => string>> = {
    label: () => `team=${take('label')}`,
    cursor: () => take(operation.path.endsWith('audit') ? 'auditCursor' : 'cursor'),
    after: () => (operation.path.endsWith('events') ? take('position') : take('sequence')),
    asOf: () => take('sequence'),
    minSeq: () => take('sequence'),
    actor: () => take('actor'),
    limit: () => String(1 + (wanted.pick % 5)),
    name: () => '*',
    format: () => 'raw',
    outcome: () => 'refused',
    from: () => '2020-01-01T00:00:00Z',
    origin: () => take('execution'),
  };
  const query = operation.queries.filter((name, index) => valueOf[name] && !(name === 'after' && operation.path.endsWith('/stream')) && (wanted.queries >> index) & 1).map((name) => `${name}=${encodeURIComponent(valueOf[name]?.() ?? '')}`);
  const kindOfId: Kind = operation.path.includes('/keys/') ? 'key' : 'execution';
  const pathWith = (id: string, name: string): string => operation.path.replace('{id}', id).replace('{name}', name).replace('{task}', 'a');
  const name = operation.path.includes('/secrets/') ? take('secret') : 'status';
  const id = take(kindOfId);
  const url = `${pathWith(id, name)}${query.length > 0 ? `?${query.join('&')}` : ''}`;

  const [label, correlation] = [party.send(random.label()), party.send(random.correlation())];
  party.keep('correlation', correlation);
  const headers: Record<string, string> = { 'x-correlation-id': correlation };
  if (wanted.tenant !== 'none') headers['x-tenant-id'] = wanted.tenant === 'own' ? party.tenant : other.tenant;
  const idempotency = wanted.key === 'none' || operation.method !== 'POST' ? undefined : take('idempotency', wanted.key);
  if (idempotency !== undefined) headers['idempotency-key'] = idempotency;

  const isRequest = operation.method === 'POST' && operation.path === '/api/v1/executions';
  const isNewKey = operation.method === 'POST' && operation.path === '/api/v1/keys';
  const body = ((): object | undefined => {
    if (isRequest) {
      const plan = { name: `plan ${party.mark}`, tasks: [{ id: 'a', runner: 'noop' }] };
      return { plan, name: `name ${party.mark}`, labels: { team: wanted.source === 'own' ? label : take('label') }, input: { given: party.mark } };
    }
    if (isNewKey) return { name: `key ${party.mark}`, roles: ['viewer'] };
    if (operation.method === 'PUT') return { value: `value ${party.mark}` };
    if (operation.path.endsWith('/respond')) return { decision: 'approve', reason: `reason ${party.mark}` };
    if (operation.path.endsWith('/delegate')) return { to: `user:${party.mark}` };
    if (operation.path.includes('/signals/')) return { payload: { given: party.mark } };
    if (operation.path.startsWith('/api/v1/bulk/')) return { filter: { labels: { team: take('label') } }, dryRun: wanted.pick % 2 === 0 };
    if (operation.path.endsWith('/rerun')) return { fromTask: 'a' };
    if (operation.path.endsWith('/fork')) return { input: { given: party.mark } };
    if (operation.path.endsWith('/retry')) return {};
    return operation.method === 'POST' && !operation.path.includes('rebuild') ? { reason: `reason ${party.mark}` } : undefined;
  })();

  const asked = `${operation.method} ${url} ${JSON.stringify(headers)}`;
  const answer = await call(party, operation.method, url, headers, body);
  expectNothingOf(other, party, asked, answer);
  expect([asked, answer.status < 500 || answer.status === 503]).toEqual([asked, true]);
  if (wanted.tenant === 'foreign') {
    // Routes of nobody's tenant have nothing to name one for.
    if (operation.path.includes('{id}') || isRequest || isNewKey) expect([asked, answer.status >= 400]).toEqual([asked, true]);
    return;
  }

  if (operation.path.includes('{id}') && other.had[kindOfId].includes(id)) {
    // What is another's is as what never was.
    const twin = await call(party, operation.method, url.replace(id, party.send(random[kindOfId]())), { 'x-correlation-id': correlation }, body);
    expect([asked, answer.status, answer.body['code']]).toEqual([asked, twin.status, twin.body['code']]);
    expect([asked, answer.status >= 400]).toEqual([asked, true]);
  }
  await remember(party, operation, answer, { label, name, idempotency, isRequest, isNewKey });
};

type Made = { readonly label: string; readonly name: string; readonly idempotency: string | undefined; readonly isRequest: boolean; readonly isNewKey: boolean };

/** What the other one may take from now on. */
const remember = async (party: Party, operation: Operation, { status, body }: Answer, made: Made): Promise<void> => {
  if (status >= 300) return;
  party.keep('sequence', body['sequence']);
  if (made.idempotency !== undefined && !party.had.idempotency.includes(made.idempotency)) party.keep('idempotency', made.idempotency);
  if (operation.method === 'DELETE' && operation.path === '/api/v1/executions/{id}') {
    party.deleted.add(String(body['id']));
    party.lastSequence = Math.max(party.lastSequence, Number(body['sequence']));
  }
  if (made.isRequest) {
    const id = String(body['id']);
    if (!party.had.execution.includes(id)) {
      party.executions += 1;
      const ref = { tenant: party.tenant, execution: id };
      if (party.executions % 3 !== 0) await finish(party, ref);
      party.lastSequence = (await load(service.log, ref)).sequence;
    }
    party.keep('execution', id);
    const { body: detail } = await call(party, 'GET', `/api/v1/executions/${id}`, {});
    // A label that was borrowed is the other's still.
    if ((detail['labels'] as Record<string, string>)['team'] === made.label) party.keep('label', made.label);
  }
  const isMade = body['origin'] !== undefined || (operation.path.startsWith('/api/v1/bulk/') && status === 202);
  if (isMade && operation.method === 'POST' && !party.had.execution.includes(String(body['id']))) {
    party.executions += 1;
    party.lastSequence = Math.max(party.lastSequence, Number(body['sequence']));
    party.keep('execution', body['id']);
  }
  if (made.isNewKey) {
    party.keep('key', body['id']);
    party.keep('actor', body['createdBy']);
  }
  if (operation.method === 'PUT' && !parties.some((known) => known.had.secret.includes(made.name))) party.keep('secret', made.name);
  if (operation.path.endsWith('/audit')) party.keep('auditCursor', body['next']);
  else if (operation.path === '/api/v1/executions' && operation.method === 'GET') party.keep('cursor', body['next']);
  for (const event of (body['events'] ?? []) as readonly Json[]) party.keep('position', event['position']);
};

/** Every page of a list. */
const all = async (party: Party, path: string, field: string): Promise<readonly Json[]> => {
  const found: Json[] = [];
  for (let cursor: string | number | null = ''; cursor !== null; ) {
    const answer: Answer = await call(party, 'GET', `${path}${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`, {});
    expect(answer.status).toBe(200);
    found.push(...(answer.body[field] as readonly Json[]));
    cursor = answer.body['next'] as string | number | null;
  }
  return found;
};

const expectOwnAlone = async (party: Party): Promise<void> => {
  const minSeq = `minSeq=${party.lastSequence}`;
  const listed = await all(party, `/api/v1/executions?limit=1000&${minSeq}`, 'executions');
  expect(listed.map(({ id }) => String(id)).toSorted()).toEqual(party.had.execution.filter((id) => !party.deleted.has(id)).toSorted());
  const stats = await call(party, 'GET', `/api/v1/stats?${minSeq}`, {});
  expect(stats.body['executions']).toMatchObject({ total: party.executions - party.deleted.size });
  const records = await all(party, '/api/v1/audit?limit=1000', 'records');
  expect(new Set(records.map(({ tenant }) => tenant))).toEqual(new Set(records.length > 0 ? [party.tenant] : []));
  const { body } = await call(party, 'GET', '/api/v1/keys', {});
  expect(new Set((body['keys'] as readonly Json[]).map(({ tenant }) => tenant))).toEqual(new Set([party.tenant]));
};

/** So that there is something of everything to take, and to be seen by whom it belongs to. */
const begin = async (who: Step['who']): Promise<void> => {
  const party = parties[who];
  const indexOf = (method: string, path: string): number => operations.findIndex((operation) => operation.method === method && operation.path === path);
  const own = { who, source: 'own', pick: 0, queries: 0, key: 'random', tenant: 'none' } as const;
  for (const path of ['/api/v1/executions', '/api/v1/executions', '/api/v1/keys']) await perform({ ...own, operation: indexOf('POST', path) });
  await perform({ ...own, operation: indexOf('PUT', '/api/v1/secrets/{name}') });
  const [id] = party.had.execution;
  for (const path of ['', '/tasks', '/events', '/output', '/output/lines', '/stream']) {
    const { text, body } = await call(party, 'GET', `/api/v1/executions/${id}${path}`, {});
    expect([path, text.includes(party.mark)]).toEqual([path, true]);
    for (const event of (body['events'] ?? []) as readonly Json[]) party.keep('position', event['position']);
  }
  const first = await call(party, 'GET', `/api/v1/executions?limit=1&minSeq=${party.lastSequence}`, {});
  expect(first.text).toContain(party.mark);
  party.keep('cursor', first.body['next']);
  for (const path of ['/api/v1/keys', '/api/v1/stats']) {
    const seen = path.endsWith('stats') ? party.had.label[0] : party.mark;
    expect((await call(party, 'GET', path, {})).text).toContain(seen);
  }
  for (const kind of telling) expect([kind, party.had[kind].length > 0]).toEqual([kind, true]);
};

it(`shows nothing of one tenant to another, whatever is asked for in whatever order (seed ${seed})`, async () => {
  for (const who of [0, 1] as const) await begin(who);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
      for (const wanted of steps) await perform(wanted);
      for (const party of parties) await expectOwnAlone(party);
    }),
    { seed, numRuns: 20, endOnFailure: true },
  );
}, 180_000);
