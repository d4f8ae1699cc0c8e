import type { Event } from '#libs/contracts';
import type { ExecutionDetail, TaskView } from '#libs/projections';
import type { Query, Reader } from './api.js';

export type AsOf = { readonly asOfSeq: number };
export type ReadEvent = Event & { readonly id: string; readonly position: string; readonly storedAt: string };

export type Chunk = {
  readonly position: number;
  readonly task: string;
  readonly attempt: number;
  readonly stream: 'stdout' | 'stderr';
  readonly time: string;
  readonly truncated?: true;
  readonly text?: string;
  readonly base64?: string;
};

/** An execution and its tasks, read one after the other: of one moment where the query says asOf. */
export type Shown = { readonly execution: ExecutionDetail; readonly tasks: readonly TaskView[] };

export const pathOf = (id: string): string => `/executions/${id}`;

export const readShown = async (api: Reader, id: string, query: Query = {}): Promise<Shown> => {
  const execution = await api.get<ExecutionDetail & AsOf>(pathOf(id), query);
  const { tasks } = await api.get<{ readonly tasks: readonly TaskView[] } & AsOf>(`${pathOf(id)}/tasks`, query);
  return { execution, tasks };
};

/** Everything behind a position, page by page. */
export const readEvents = async (api: Reader, id: string, after: string): Promise<readonly ReadEvent[]> => {
  const all: ReadEvent[] = [];
  for (let from: string | null = after; from !== null; ) {
    const page: { events: readonly ReadEvent[]; next: string | null } = await api.get(`${pathOf(id)}/events`, { after: from, limit: 1_000 });
    all.push(...page.events);
    from = page.next;
  }
  return all;
};

export type OutputWanted = { readonly task?: string | undefined; readonly stream?: string | undefined };

type OutputPage = { readonly chunks: readonly Chunk[]; readonly next: number | null };

/** Output behind a position, a page of at most 6 MiB at a time. */
export async function* outputPages(api: Reader, id: string, after: number, { task, stream }: OutputWanted): AsyncGenerator<readonly Chunk[]> {
  for (let from: number | null = after; from !== null; ) {
    const page: OutputPage = await api.get(`${pathOf(id)}/output`, { after: from, limit: 200, task, stream });
    yield page.chunks;
    from = page.next;
  }
}

export const readAllOutput = async (api: Reader, id: string, after: number, wanted: OutputWanted): Promise<readonly Chunk[]> => {
  const all: Chunk[] = [];
  for await (const chunks of outputPages(api, id, after, wanted)) all.push(...chunks);
  return all;
};

export const bytesOf = ({ text, base64 }: Chunk): Buffer =>
  base64 === undefined ? Buffer.from(text ?? '') : Buffer.from(base64, 'base64');
