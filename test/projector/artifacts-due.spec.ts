import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DueArtifact } from '#libs/projections';
import { ArtifactsModel, artifactsSchema } from '../../apps/projector/src/artifacts-model.js';
import { QueryRefused } from '../../apps/projector/src/query-refused.js';
import { ReadModelFile } from '../../apps/projector/src/read-model-file.js';

let folder: string;
let file: ReadModelFile;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'runledger-artifacts-'));
  file = new ReadModelFile(join(folder, 'artifacts.db'), artifactsSchema, () => undefined);
});
afterEach(() => {
  file.close();
  rmSync(folder, { recursive: true, force: true });
});

const keep = (tenant: string, id: string, expiresAt: string | null): unknown =>
  file
    .prepare(
      `INSERT INTO artifacts (tenant, id, execution, name, type, tags, mime_type, size, sha256, public, created_at, created_by, expires_at, object)
      VALUES (?, ?, 'e', 'x', 'other', '[]', 'text/plain', 1, '', 0, '', '', ?, ?)`,
    )
    .run(tenant, id, expiresAt, `object-${id}`);

it('artifacts whose time has come are told page by page, the longest overdue first, each once', () => {
  const model = new ArtifactsModel(file);
  // Many at the same moment, as the files of one task are.
  for (let i = 0; i < 30; i++) keep(i % 2 === 0 ? 'a' : 'b', `id-${i}`, `2026-01-0${1 + (i % 3)}T00:00:00.000Z`);
  keep('a', 'later', '2026-02-01T00:00:00.000Z');
  keep('a', 'never', null);
  const told: DueArtifact[] = [];
  let pages = 0;
  for (let cursor: string | null | undefined; cursor !== null; pages++) {
    const { due, next }: ReturnType<ArtifactsModel['due']> = model.due({ now: '2026-01-03T00:00:00.000Z', limit: 7, ...(cursor && { cursor }) });
    told.push(...due);
    cursor = next;
  }
  expect(pages).toBe(5);
  expect(new Set(told.map(({ id }) => id)).size).toBe(30);
  expect(told.map(({ id }) => Number(id.slice(3)) % 3)).toEqual(Array.from({ length: 30 }, (_, i) => Math.floor(i / 10)));
  expect(told[0]).toEqual({ tenant: 'a', id: 'id-0', execution: 'e', object: 'object-id-0' });
  expect(() => model.due({ now: '2026-01-03T00:00:00.000Z', limit: 7, cursor: 'x' })).toThrow(QueryRefused);
});
