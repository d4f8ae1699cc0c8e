import type { ArtifactType, Event } from '#libs/contracts';
import type { AtLeast } from './queries.js';

// What is asked of the artifacts projection, over NATS request/reply.
export const artifactQueries = {
  list: 'runledger.query.artifacts.list',
  one: 'runledger.query.artifacts.one',
  usage: 'runledger.query.artifacts.usage',
  due: 'runledger.query.artifacts.due',
  known: 'runledger.query.artifacts.known',
} as const;

/** An artifact that is there. Times are RFC 3339. */
export type ArtifactView = {
  readonly id: string;
  readonly execution: string;
  /** Of the attempt that made it; null where somebody uploaded it. */
  readonly task: string | null;
  readonly attempt: number | null;
  readonly step: string | null;
  readonly name: string;
  readonly type: ArtifactType;
  /** In the order of their letters. */
  readonly tags: readonly string[];
  readonly mimeType: string;
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly public: boolean;
  readonly description: string | null;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly expiresAt: string | null;
};

/** Filters are combined with and; of `type` one has to fit, of `tags` all. `workspace`: of their executions. */
export type ArtifactsQuery = {
  readonly tenant: string;
  readonly execution?: string;
  readonly task?: string;
  readonly step?: string;
  readonly type?: readonly ArtifactType[];
  readonly tags?: readonly string[];
  readonly workspace?: string;
  /** 1 to 200: an answer has to fit into one message. */
  readonly limit: number;
  readonly cursor?: string;
};

/** Newest first; `next` is the cursor of the following page, null on the last. */
export type ArtifactsAnswer = { readonly asOfSeq: number; readonly artifacts: readonly ArtifactView[]; readonly next: string | null };

export type ArtifactRef = { readonly tenant: string; readonly id: string };

/** `object`: name of its bytes in the object store. */
export type StoredArtifact = { readonly artifact: ArtifactView; readonly object: string };
export type ArtifactAnswer = { readonly asOfSeq: number; readonly found: StoredArtifact | undefined };

/** Bytes of all artifacts of a tenant that are there. */
export type ArtifactUsage = { readonly asOfSeq: number; readonly bytes: number };

/** Artifacts of all tenants whose time has come, the longest overdue first; at most 1,000 an answer. */
export type DueQuery = { readonly now: string; readonly limit: number; readonly cursor?: string };
export type DueArtifact = ArtifactRef & { readonly execution: string; readonly object: string };
export type DueAnswer = { readonly asOfSeq: number; readonly due: readonly DueArtifact[]; readonly next: string | null };

/** Which of these objects are those of artifacts that are there. At most 1,000. */
export type KnownQuery = AtLeast & { readonly tenant: string; readonly objects: readonly string[] };
export type KnownAnswer = { readonly asOfSeq: number; readonly objects: readonly string[] };

type Value = string | number | null;

/** One change of the artifacts read model's rows, below one execution. */
export type ArtifactChange =
  /** `tags` in the order of their letters. */
  | { readonly op: 'insert'; readonly row: Readonly<Record<string, Value>> & { readonly id: string }; readonly tags: readonly string[] }
  | { readonly op: 'remove'; readonly id: string }
  /** The execution was deleted, and all that belonged to it. */
  | { readonly op: 'drop' }
  /** The execution is of a workspace. */
  | { readonly op: 'workspace'; readonly workspace: string };

/** The rows that an event changes; nothing is looked up, so a rebuild ends in the same ones. */
export const artifactChange = (event: Event): ArtifactChange | undefined => {
  if (event.type === 'ExecutionRequested') {
    const { workspace } = event.data.labels;
    return workspace === undefined ? undefined : { op: 'workspace', workspace };
  }
  if (event.type === 'ArtifactDeleted' || event.type === 'ArtifactExpired') return { op: 'remove', id: event.data.artifactId };
  if (event.type === 'ExecutionDeleted') return { op: 'drop' };
  if (event.type !== 'ArtifactCreated') return undefined;
  const { artifactId, taskId, attempt, stepId, name, type, tags, mimeType, size, sha256, description, expiresAt, object, public: isPublic } = event.data;
  const sorted = [...new Set(tags)].toSorted();
  const made = { task: taskId ?? null, attempt: attempt ?? null, step: stepId ?? null, created_at: event.at, created_by: event.actor };
  const said = { name, type, tags: JSON.stringify(sorted), description: description ?? null, public: isPublic ? 1 : 0, expires_at: expiresAt ?? null };
  return { op: 'insert', row: { id: artifactId, ...made, ...said, mime_type: mimeType, size, sha256, object }, tags: sorted };
};

/** A row of `artifacts`. */
export const artifactOf = (row: { readonly [column: string]: Value }): ArtifactView => {
  const text = (column: string): string => String(row[column]);
  const textOrNull = (column: string): string | null => (row[column] ?? null) as string | null;
  return {
    id: text('id'),
    execution: text('execution'),
    task: textOrNull('task'),
    attempt: (row['attempt'] ?? null) as number | null,
    step: textOrNull('step'),
    name: text('name'),
    type: text('type') as ArtifactType,
    tags: JSON.parse(text('tags')) as string[],
    mimeType: text('mime_type'),
    size: Number(row['size']),
    sha256: text('sha256'),
    public: row['public'] === 1,
    description: textOrNull('description'),
    createdAt: text('created_at'),
    createdBy: text('created_by'),
    expiresAt: textOrNull('expires_at'),
  };
};
