import { constants } from 'node:fs';
import { type FileHandle, open, readlink, realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { ArtifactSink, MarkedFile, NotKept } from './runner.js';
import { isWithin } from './work-directory.js';

/** The file as an open one, or why it is not to be had. A pipe is not waited for, and a link is followed before it is judged. */
const opened = async (directory: string, name: string): Promise<{ readonly handle: FileHandle; readonly bytes: number } | string> => {
  const real = await realpath(resolve(directory, name)).catch(() => undefined);
  if (real === undefined) return 'there is no such file';
  if (!isWithin(real, directory)) return 'it lies outside the working directory';
  const handle = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => undefined);
  if (!handle) return 'it can not be read';
  // What was opened, wherever the path leads by now.
  const isSame = process.platform !== 'linux' || isWithin(await readlink(`/proc/self/fd/${handle.fd}`).catch(() => ''), directory);
  const stats = await handle.stat();
  if (isSame && stats.isFile()) return { handle, bytes: stats.size };
  await handle.close();
  return isSame ? 'it is no file' : 'it lies outside the working directory';
};

export type Named = Pick<MarkedFile, 'name' | 'description' | 'step'>;

const missed = (why: string): NotKept => ({ why, retryable: true });

/** Keeps a file below a directory, given by its real path. Answers why it was not kept, undefined where it was. */
export const keepFile = async (directory: string, named: Named, sink: ArtifactSink | undefined): Promise<NotKept | undefined> => {
  const file = await opened(directory, named.name);
  if (typeof file === 'string') return missed(file);
  try {
    return sink ? await sink({ ...named, ...file }) : missed('this executor keeps no artifacts');
  } finally {
    await file.handle.close();
  }
};

/** Files that a command names, kept one after another while it goes on; of those that can't be, `refuse` is told why. */
export class MarkedFiles {
  private last: Promise<void> = Promise.resolve();

  constructor(
    /** The real path of the working directory. */
    private readonly directory: string,
    private readonly sink: ArtifactSink | undefined,
    private readonly refuse: (name: string, why: string) => void,
  ) {}

  keep(named: Named): void {
    this.last = this.last.then(async () => {
      const notKept = await keepFile(this.directory, named, this.sink).catch((error: unknown) => missed(String(error)));
      if (notKept) this.refuse(named.name, notKept.why);
    });
  }

  /** Resolves once all that were named are kept, or refused. */
  settled(): Promise<void> {
    return this.last;
  }
}
