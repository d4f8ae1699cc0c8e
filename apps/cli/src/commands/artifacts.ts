import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { ArtifactView } from '#libs/projections';
import { CliError } from '../cli-error.js';
import { EXIT, type ExitCode } from '../exit-codes.js';
import type { Session } from '../session.js';
import { dateTime } from '../terminal/format.js';
import { type Cell, heading, printTable } from '../terminal/table.js';

export type ListArtifactsOptions = {
  readonly execution?: string;
  readonly task?: string;
  readonly step?: string;
  readonly type?: string;
  readonly tag?: readonly string[];
  readonly limit?: number;
};

export type PutArtifactOptions = {
  readonly name?: string;
  readonly type?: string;
  readonly tag?: readonly string[];
  readonly description?: string;
  readonly public?: boolean;
  readonly retentionDays?: number;
};

type Page = { readonly artifacts: readonly ArtifactView[]; readonly next: string | null };

export const listArtifacts = async ({ api, out, err, json }: Session, options: ListArtifactsOptions): Promise<ExitCode> => {
  const page = await api.get<Page>('/artifacts', options);
  if (json) out.json(page);
  else if (page.artifacts.length === 0) err.line('no artifacts');
  else {
    printTable(out, [
      heading('ID', 'NAME', 'TYPE', 'BYTES', 'TASK', 'CREATED'),
      ...page.artifacts.map(({ id, name, type, size, task, createdAt }): readonly Cell[] => [id, name, type, String(size), task ?? '-', dateTime(createdAt)]),
    ]);
    if (page.next !== null) err.line('there are more: narrow it down, or raise --limit');
  }
  return EXIT.ok;
};

/** Into a file, or to standard output. */
export const getArtifact = async ({ api }: Session, id: string, file: string | undefined): Promise<ExitCode> => {
  const bytes = await api.download(`/artifacts/${id}/download`);
  try {
    if (file === undefined) await pipeline(bytes, process.stdout, { end: false });
    else await pipeline(bytes, createWriteStream(file));
  } catch (error) {
    throw new CliError(EXIT.unavailable, 'DOWNLOAD_CUT_OFF', `it did not come whole: ${(error as Error).message}; get it again`);
  }
  return EXIT.ok;
};

export const putArtifact = async ({ api, out, json }: Session, execution: string, file: string, options: PutArtifactOptions): Promise<ExitCode> => {
  const found = await stat(file).catch(() => undefined);
  if (!found?.isFile()) throw new CliError(EXIT.misuse, 'FILE_MISSING', `${file} is no file that can be read`);
  const { name = basename(file), type, tag = [], description, public: isPublic, retentionDays } = options;
  const fields = Object.entries({ name, type, tags: tag.length > 0 ? tag.join(',') : undefined, description, public: isPublic ? 'true' : undefined, retentionDays });
  const texts = fields.flatMap(([field, value]) => (value === undefined ? [] : [[field, String(value)] as const]));
  const artifact = await api.upload<{ readonly id: string; readonly sha256: string }>(`/executions/${execution}/artifacts`, texts, { name, size: found.size, bytes: createReadStream(file, found.size > 0 ? { end: found.size - 1 } : {}) });
  if (json) out.json(artifact);
  else out.line(artifact.id);
  return EXIT.ok;
};

export const deleteArtifact = async ({ api, out, json }: Session, id: string): Promise<ExitCode> => {
  await api.delete<unknown>(`/artifacts/${id}`);
  if (json) out.json({ id, deleted: true });
  else out.line(`artifact ${id} is gone`);
  return EXIT.ok;
};
