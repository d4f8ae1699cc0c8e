import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { logSubject } from '#libs/contracts';
import { type LogStore, MemoryLog } from '#libs/ledger';
import { createLogger } from '#libs/platform';
import { ReadModelFile } from '../../apps/projector/src/read-model-file.js';
import { Projection } from '../../apps/projector/src/projection.js';
import { StatusModel } from '../../apps/projector/src/status-model.js';
import { statusSchema } from '../../apps/projector/src/status-schema.js';
import { Story, request, task } from './story.js';

const logger = createLogger('projector', 'silent');

let log: MemoryLog;
let folder: string;
let projection: Projection;
let status: StatusModel;

const project = async (from: LogStore = log): Promise<void> => {
  const file = new ReadModelFile(join(folder, 'status.db'), statusSchema, () => undefined);
  status = new StatusModel(file, () => undefined);
  projection = new Projection('status', from, file, () => status, logger);
  await projection.start();
};

beforeEach(() => {
  log = new MemoryLog();
  folder = mkdtempSync(join(tmpdir(), 'runledger-projector-'));
});
afterEach(async () => {
  await projection.stop();
  rmSync(folder, { recursive: true, force: true });
});

const tell = async (): Promise<Story> => await new Story(log).tell(request('one', [task('a')]));

it('is answered at once where the sequence is known already', async () => {
  const { sequence } = await tell();
  await project();
  await projection.atLeast({ minSeq: sequence, waitMs: 0 });
  await projection.atLeast({});
});

it('waits for a commit that is still to come, and then knows it', async () => {
  await project();
  const known = projection.atLeast({ minSeq: 2 }).then(() => projection.asOfSeq);
  await tell();
  const { ref } = await tell();
  expect(await known).toBe(2);
  expect(status.detail(ref)?.name).toBe('one');
});

it('counts what is no commit, and what another execution wrote', async () => {
  await project();
  const known = projection.atLeast({ minSeq: 2 });
  await tell();
  log.write(logSubject({ tenant: 'other', execution: 'x' }), Buffer.from('no commit'));
  await known;
  expect(projection.asOfSeq).toBe(2);
});

it('is refused with what is known and what was asked for, when it takes too long', async () => {
  await tell();
  await project();
  const refusal = expect.objectContaining({ code: 'PROJECTION_BEHIND', message: expect.stringContaining('up to 1, asked for was 9') as string });
  await expect(projection.atLeast({ minSeq: 9, waitMs: 20 })).rejects.toEqual(refusal);
});

it('waits two seconds at most, whatever it is told', async () => {
  await project();
  const from = performance.now();
  await expect(projection.atLeast({ minSeq: 1, waitMs: 60_000 })).rejects.toMatchObject({ code: 'PROJECTION_BEHIND' });
  expect(performance.now() - from).toBeLessThan(4_000);
});
