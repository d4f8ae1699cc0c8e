import { type ExecutionRef, shardOf } from '#libs/contracts';
import type { Position } from '#libs/ledger';

/** Where a shard's next owner goes on: behind `position`, with these executions of before it still active. */
type Checkpoint = { readonly position: Position; readonly active: readonly ExecutionRef[] };

export type CheckpointStore = {
  get(key: string): Promise<unknown>;
  put(key: string, value: unknown): Promise<void>;
};

/** Executions named in one value, so that none comes near the broker's message limit. */
const PER_CHUNK = 5_000;

type Mark = { readonly position: Position; readonly chunks: number };

const keyOf = (shard: number): string => `owner.${shard}`;

export const readCheckpoint = async (store: CheckpointStore, shard: number): Promise<Checkpoint | undefined> => {
  const mark = (await store.get(keyOf(shard))) as Mark | undefined;
  if (!mark) return undefined;
  const chunks = await Promise.all(
    Array.from({ length: mark.chunks }, (_, i) => store.get(`${keyOf(shard)}.${i}`) as Promise<ExecutionRef[] | undefined>),
  );
  return { position: mark.position, active: chunks.flatMap((chunk) => chunk ?? []) };
};

/**
 * The lists go first: a newer list with an older mark loads what is needed and delivers the rest again; the other way round
 * an execution would be forgotten.
 */
const writeCheckpoint = async (store: CheckpointStore, shard: number, checkpoint: Checkpoint): Promise<void> => {
  const { position, active } = checkpoint;
  const chunks = Math.ceil(active.length / PER_CHUNK);
  for (let i = 0; i < chunks; i++) {
    await store.put(`${keyOf(shard)}.${i}`, active.slice(i * PER_CHUNK, (i + 1) * PER_CHUNK));
  }
  await store.put(keyOf(shard), { position, chunks } satisfies Mark);
};

/** Writes checkpoints of shards, and only those that tell something new. */
export class CheckpointWriter {
  private readonly written = new Map<number, Checkpoint>();
  private writing = 0;

  constructor(private readonly store: CheckpointStore) {}

  get isWriting(): boolean {
    return this.writing > 0;
  }

  /** One for each of the shards, with those of the active executions that are in it. */
  async write(shards: Iterable<number>, { position, active }: Checkpoint): Promise<void> {
    const byShard = new Map<number, ExecutionRef[]>([...shards].map((shard) => [shard, []]));
    for (const ref of active) byShard.get(shardOf(ref.execution))?.push(ref);
    this.writing += 1;
    try {
      for (const [shard, refs] of byShard) {
        const checkpoint = { position, active: refs };
        if (isSame(this.written.get(shard), checkpoint)) continue;
        await writeCheckpoint(this.store, shard, checkpoint);
        this.written.set(shard, checkpoint);
      }
    } finally {
      this.writing -= 1;
    }
  }

  /** What was written is of a log that is no more. */
  forget(): void {
    this.written.clear();
  }
}

const isSame = (a: Checkpoint | undefined, b: Checkpoint): boolean =>
  a?.position.sequence === b.position.sequence &&
  a.active.length === b.active.length &&
  a.active.every((ref, i) => ref === b.active[i]);

/** The first of some positions; undefined, the log's start, when one is unknown. */
export const earliest = (positions: readonly (Position | undefined)[]): Position | undefined => {
  if (positions.length === 0 || positions.includes(undefined)) return undefined;
  return (positions as Position[]).reduce((a, b) => (b.sequence < a.sequence ? b : a));
};
