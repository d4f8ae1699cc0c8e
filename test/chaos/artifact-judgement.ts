import type { Event, EventData } from '#libs/contracts';
import { ArtifactStore, JetStreamLog, type Nats } from '#libs/jetstream';
import type { ArtifactView, ArtifactsAnswer } from '#libs/projections';
import { artifactHints } from '../../apps/executor/src/artifact-hints.js';
import { ArtifactKeeper } from '../../apps/executor/src/artifact-keeper.js';
import { systemClock } from '../../apps/executor/src/clock.js';
import type { ArtifactClient, Uploaded } from './artifact-client.js';
import type { Gateways } from './gateways.js';
import type { History } from './history.js';

type Created = EventData['ArtifactCreated'];
type There = Created & { readonly execution: string };

/** Later than anything is swept that nothing names. */
const SWEEP_AHEAD_MS = 20 * 60_000;

export type ArtifactsJudged = { readonly byTasks: number; readonly uploaded: number; readonly deleted: number; readonly expired: number; readonly swept: number };

/** What became of each artifact, by the log. */
const inLog = ({ commits }: History): { readonly created: readonly There[]; readonly there: ReadonlyMap<string, There>; readonly gone: ReadonlyMap<string, Event['type']> } => {
  const created: There[] = [];
  const there = new Map<string, There>();
  const gone = new Map<string, Event['type']>();
  for (const { ref, commit } of commits) {
    for (const { type, data } of commit.events) {
      if (type === 'ArtifactCreated') {
        created.push({ ...data, execution: ref.execution });
        there.set(data.artifactId, { ...data, execution: ref.execution });
      } else if (type === 'ArtifactDeleted' || type === 'ArtifactExpired') {
        there.delete(data.artifactId);
        gone.set(data.artifactId, type);
      } else if (type === 'ExecutionDeleted') {
        for (const { artifactId, execution } of created) if (execution === ref.execution && there.delete(artifactId)) gone.set(artifactId, type);
      }
    }
  }
  return { created, there, gone };
};

/** What clients were told of their uploads is in the log, once. */
export function* ofUploads(history: History, uploads: readonly Uploaded[]): Generator<string> {
  const { created, gone } = inLog(history);
  for (const { key, execution, sha256, isTorn, id, told, deleted } of uploads) {
    if (history.torn.has(execution)) continue;
    const named = created.filter((artifact) => artifact.artifactId === id || artifact.name === `${key}.bin`);
    if (named.length > 1) yield `the upload ${key} has made ${named.length} artifacts`;
    if (isTorn && named.length > 0) yield `the upload ${key} was torn, and is there`;
    if (told === 'applied' && named[0]?.sha256 !== sha256) yield `the upload ${key} was acknowledged with SHA-256 ${sha256}, and the log has ${named[0]?.sha256}`;
    if (told === undefined) yield `the upload ${key} was never answered`;
    if (deleted === 'applied' && !gone.has(id ?? '')) yield `the artifact ${id} of ${key} was deleted, and the log says that it is there`;
  }
}

/**
 * All artifacts that the log says are there are shown, and have their bytes; nothing else is shown; and once what nothing names is old enough, as it is by a clock that is
 * ahead, executors' own sweep leaves just the bytes of those. `nats`: of an executor's user.
 */
export async function* ofArtifacts(history: History, { gateways, artifacts }: { readonly gateways: Gateways; readonly artifacts: ArtifactClient }, nats: Nats): AsyncGenerator<string, ArtifactsJudged> {
  const { created, there, gone } = inLog(history);
  const store = new ArtifactStore(nats);
  const before = await objectsOf(store);
  for (const { artifactId, execution, object } of created) {
    if (history.models.get(execution)?.isDeleted && before.has(object)) yield `${execution} is deleted, and bytes of its artifact ${artifactId} are left`;
  }
  yield* await sweep(nats, store);
  const left = await objectsOf(store);
  const objects = new Set([...there.values()].map(({ object }) => object));
  for (const object of left) if (!objects.has(object)) yield `object ${object} is named by nothing, and was not swept`;
  yield* ofShown(await shown(gateways, history), there);
  for (const { artifactId: id, sha256, size } of there.values()) {
    if (!(await artifacts.download({ id, sha256, size }))) yield `artifact ${id} is there, and can't be downloaded`;
  }
  const count = (type: Event['type']): number => [...gone.values()].filter((each) => each === type).length;
  const byTasks = created.filter(({ taskId }) => taskId !== undefined).length;
  return { byTasks, uploaded: created.length - byTasks, deleted: count('ArtifactDeleted') + count('ExecutionDeleted'), expired: count('ArtifactExpired'), swept: before.size - left.size };
}

function* ofShown(shownOnes: readonly ArtifactView[] | string, there: ReadonlyMap<string, There>): Generator<string> {
  if (typeof shownOnes === 'string') return yield shownOnes;
  for (const { id, sha256, size, execution } of shownOnes) {
    const expected = there.get(id);
    if (expected?.sha256 !== sha256 || expected.size !== size || expected.execution !== execution) yield `artifact ${id} is shown with ${size} bytes, ${sha256}, of ${execution}; by the log it is ${expected ? 'another' : 'not there'}`;
  }
  if (shownOnes.length !== there.size) yield `${shownOnes.length} artifacts are shown, and ${there.size} are there`;
}

/** All that are shown, or why they are not. */
const shown = async (gateways: Gateways, { commits }: History): Promise<readonly ArtifactView[] | string> => {
  const minSeq = commits[commits.length - 1]?.sequence ?? 0;
  const found: ArtifactView[] = [];
  for (let cursor = ''; ; ) {
    const answer = await gateways.read(`/api/v1/artifacts?limit=200&minSeq=${minSeq}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    if (answer?.status !== 200) return `the list of artifacts is not answered: ${JSON.stringify(answer)}`;
    const { artifacts, next } = answer.body as unknown as ArtifactsAnswer;
    found.push(...artifacts);
    if (next === null) return found;
    cursor = next;
  }
};

const sweep = async (nats: Nats, store: ArtifactStore): Promise<readonly string[]> => {
  const warnings: string[] = [];
  const clock = { ...systemClock, now: () => Date.now() + SWEEP_AHEAD_MS };
  const warn = (error: unknown): void => void warnings.push(`the sweep has warned: ${String(error)}`);
  await new ArtifactKeeper({ log: new JetStreamLog(nats), store, hints: artifactHints(nats), owns: () => true, incarnation: 'chaos', clock, warn }).sweep();
  return warnings;
};

/** Whole or in part, of all tenants. */
const objectsOf = async (store: ArtifactStore): Promise<ReadonlySet<string>> => {
  const objects = new Set<string>();
  for (const tenant of await store.tenants()) {
    for await (const page of store.wholeObjects(tenant)) for (const { object } of page) objects.add(object);
    for await (const { object } of store.startedObjects(tenant, (name) => objects.has(name))) objects.add(object);
  }
  return objects;
};
