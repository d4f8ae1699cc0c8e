import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ArtifactRoom, NoRoomForArtifact } from '#libs/artifacts';
import type { NewArtifact } from '#libs/execution';
import type { ArtifactStore } from '#libs/jetstream';
import { keepFiles } from '../../apps/executor/src/keep-files.js';

const ref = { tenant: 'acme', execution: 'e' };

let folder: string;
/** Bytes of what is stored whole. */
let stored: number[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'runledger-keep-'));
  stored = [];
});
afterEach(() => rm(folder, { recursive: true }));

const store: Pick<ArtifactStore, 'put'> = {
  put: async (_, bytes) => {
    let size = 0;
    for await (const piece of bytes) size += piece.length;
    stored.push(size);
    return { size, sha256: 'f'.repeat(64) };
  },
};

/** With so many bytes left for the tenant, and ten for one file. */
const keeping = (left: number) => {
  const keep = keepFiles(store, new ArtifactRoom(() => 100, () => Promise.resolve({ bytes: 100 - left, asOfSeq: 1 })), 10);
  return async (bytes: number, stepId?: string): Promise<NewArtifact> => {
    const path = join(folder, 'file');
    await writeFile(path, 'x'.repeat(bytes));
    const handle = await open(path);
    try {
      return await keep(ref, { taskId: 'a', attempt: 1, ...(stepId !== undefined && { stepId }) }, { name: 'out/x.txt', description: '', bytes, handle });
    } finally {
      await handle.close();
    }
  };
};

it('keeps a file of an attempt, and says of which step it is', async () => {
  expect(await keeping(100)(10, 'a.1.2')).toMatchObject({ name: 'out/x.txt', size: 10, taskId: 'a', attempt: 1, stepId: 'a.1.2' });
  expect(await keeping(100)(1)).not.toHaveProperty('stepId');
});

it('keeps no file that is too large, and none that its tenant has no room for; what was refused takes none', async () => {
  await expect(keeping(100)(11)).rejects.toMatchObject({ code: 'ARTIFACT_TOO_LARGE', retryable: false });
  const keep = keeping(5);
  await expect(keep(6)).rejects.toThrow(NoRoomForArtifact);
  await expect(keep(5)).resolves.toMatchObject({ size: 5 });
  await expect(keeping(0)(0)).rejects.toThrow(NoRoomForArtifact);
  expect(stored).toEqual([5]);
});

it('stores nothing of a file that is too large from the start, and of one that grows what it had when it was opened', async () => {
  const begun: string[] = [];
  const watched: typeof store = { put: (object, bytes) => (begun.push(object.object), store.put(object, bytes)) };
  const keep = keepFiles(watched, new ArtifactRoom(() => undefined, () => Promise.resolve(undefined)), 10);
  const path = join(folder, 'grown');
  await writeFile(path, 'x'.repeat(11));
  const handle = await open(path);
  const of = (bytes: number): Promise<NewArtifact> => keep(ref, { taskId: 'a', attempt: 1 }, { name: 'x', description: '', bytes, handle });
  try {
    await expect(of(11)).rejects.toMatchObject({ code: 'ARTIFACT_TOO_LARGE', retryable: false });
    expect(begun).toEqual([]);
    expect([(await of(10)).size, (await of(1)).size, (await of(0)).size]).toEqual([10, 1, 0]);
  } finally {
    await handle.close();
  }
});
