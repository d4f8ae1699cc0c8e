/** Shards of the log: fixed when the log is provisioned, kept in its metadata. */
export const SHARDS = 64;

const token = /^[A-Za-z0-9_-]{1,64}$/;

/** True for what may become a token of a subject: `^[A-Za-z0-9_-]{1,64}$`. Everything from outside is checked first. */
export const isToken = (value: unknown): value is string => typeof value === 'string' && token.test(value);

/** An execution's address. */
export type ExecutionRef = { readonly tenant: string; readonly execution: string };

/** FNV-1a, 32 bits, of the ASCII id, modulo 64: simple enough to be computed alike in any language. */
export const shardOf = (execution: string): number => {
  let hash = 0x811c9dc5;
  for (let i = 0; i < execution.length; i++) hash = Math.imul(hash ^ execution.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % SHARDS;
};

const checked = (...tokens: string[]): void => {
  for (const value of tokens) {
    if (!isToken(value)) throw new RangeError(`not a subject token: ${JSON.stringify(value).slice(0, 80)}`);
  }
};

/** `log.<shard>.<tenant>.<execution>` */
export const logSubject = ({ tenant, execution }: ExecutionRef): string => {
  checked(tenant, execution);
  return `log.${shardOf(execution)}.${tenant}.${execution}`;
};

/** Every commit of one shard. */
export const shardFilter = (shard: number): string => `log.${shard}.>`;

/** The reverse of logSubject; undefined for any other subject, also for one whose shard is not the id's. */
export const parseLogSubject = (subject: string): ExecutionRef | undefined => {
  const [log, shard, tenant, execution, ...rest] = subject.split('.');
  if (log !== 'log' || rest.length > 0 || !isToken(tenant) || !isToken(execution)) return undefined;
  return Number(shard) === shardOf(execution) ? { tenant, execution } : undefined;
};

/** `output.<tenant>.<execution>.<task>` */
export const outputSubject = ({ tenant, execution }: ExecutionRef, task: string): string => {
  checked(tenant, execution, task);
  return `output.${tenant}.${execution}.${task}`;
};

/** `audit.<tenant>` */
export const auditSubject = (tenant: string): string => {
  checked(tenant);
  return `audit.${tenant}`;
};

/** `rates.<window>.<verb class>.<tenant>`, of a workspace with its id behind. A window is named by its number since the epoch. */
export const rateSubject = (window: number, key: readonly string[]): string => {
  checked(...key);
  return `rates.${window}.${key.join('.')}`;
};

/** The output of every task of one execution. */
export const outputFilter = ({ tenant, execution }: ExecutionRef): string => {
  checked(tenant, execution);
  return `output.${tenant}.${execution}.*`;
};

/** `events.<tenant>.<execution>.<entity>.<verb>`, from the event type: TaskRetryScheduled → task.retry-scheduled. */
export const feedSubject = ({ tenant, execution }: ExecutionRef, type: string): string => {
  checked(tenant, execution);
  const [entity, ...verb] = type.split(/(?=[A-Z])/).map((word) => word.toLowerCase());
  return `events.${tenant}.${execution}.${entity}.${verb.join('-')}`;
};

/** Every event of one execution in the feed. */
export const feedFilter = ({ tenant, execution }: ExecutionRef): string => {
  checked(tenant, execution);
  return `events.${tenant}.${execution}.>`;
};

/** All that the projector is asked, below which every query has its own subject. */
export const QUERIES = 'runledger.query.>';

/** Where it is asked which executions fit a filter. */
export const SELECT = 'runledger.query.status.select';

/** What retention asks of the projector: who has executions that have ended, and which of them are to go. */
export const ENDED_TENANTS = 'runledger.query.status.tenants';
export const EXPIRED = 'runledger.query.status.expired';

/** Where the projector is told to rebuild a projection. */
export const REBUILD = 'runledger.projections.rebuild';
