import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LogStore, MemoryLog } from '#libs/ledger';
import { createLogger } from '#libs/platform';
import { eventually } from '#libs/testing';
import { Projection } from '../../apps/projector/src/projection.js';
import { ReadModelFile } from '../../apps/projector/src/read-model-file.js';
import { StatusModel } from '../../apps/projector/src/status-model.js';
import { statusSchema } from '../../apps/projector/src/status-schema.js';
import { Story, request, task } from './story.js';

/** Lets batches through one by one where it is held. */
class Gate {
  private left = Infinity;
  private wake: () => void = () => undefined;

  hold(): void {
    this.left = 0;
  }

  open(batches = Infinity): void {
    this.left += batches;
    this.wake();
  }

  async pass(): Promise<void> {
    while (this.left <= 0) await new Promise<void>((resolve) => (this.wake = resolve));
    this.left -= 1;
  }
}

let folder: string;
let log: MemoryLog;
let live: Gate;
let fresh: Gate;
let file: ReadModelFile;
let projection: Projection;
let alarms: string[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'runledger-rebuild-'));
  log = new MemoryLog();
  [live, fresh] = [new Gate(), new Gate()];
  // In the order in which they begin to follow; what follows after the swap is held by nobody.
  const gates = [live, fresh];
  const gated: LogStore = {
    append: (append) => log.append(append),
    history: (...args) => log.history(...args),
    at: (sequence) => log.at(sequence),
    head: () => log.head(),
    follow: async (from, handler) => {
      const gate = gates.shift();
      let isStopped = false;
      const commits: typeof handler.commits = async (batch) => {
        await gate?.pass();
        if (!isStopped) await handler.commits(batch);
      };
      const follower = await log.follow(from, { ...handler, commits });
      const stop = (): Promise<void> => {
        isStopped = true;
        gate?.open();
        return follower.stop();
      };
      return { delivered: follower.delivered, stop };
    },
  };
  alarms = [];
  const logger = createLogger('projector', 'silent');
  logger.error = (_: unknown, message?: unknown) => void alarms.push(String(message));
  file = new ReadModelFile(join(folder, 'status.db'), statusSchema, () => undefined);
  projection = new Projection('status', gated, file, (rows) => new StatusModel(rows, () => undefined), logger);
  await tell(10);
  await projection.start();
});
afterEach(async () => {
  await projection.stop();
  rmSync(folder, { recursive: true, force: true });
});

const tell = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await new Story(log).tell(request('one', [task('a')]));
};
const rows = (): number => (file.prepare('SELECT count(*) AS n FROM executions').get() as { n: number }).n;
const rebuild = () => projection.info().rebuild;
const until = (what: string, check: () => boolean): Promise<unknown> => eventually(check, { what });

it('waits, before it swaps, until the rebuilt rows have come as far as those that were read', async () => {
  fresh.hold();
  await projection.rebuild('x');
  await tell(5);
  await until('the live rows to be 15', () => rows() === 15);
  fresh.open(1);
  await until('the comparison', () => rebuild()?.phase === 'comparing');
  expect(rebuild()?.target).toBe(15);
  await tell(3);
  await until('the live rows to be 18', () => rows() === 18);
  // The rest of what they are compared at; not what came after it.
  fresh.open(1);
  await until('the swap', () => rebuild()?.phase === 'swapping');
  expect(rows()).toBe(18);
  await tell(1);
  expect([rebuild()?.phase, rows(), projection.asOfSeq]).toEqual(['swapping', 18, 18]);
  fresh.open();
  await projection.atLeast({ minSeq: 19 });
  await until('the end', () => rebuild()?.phase === 'done');
  expect(rebuild()).toMatchObject({ target: 15, differs: [] });
  expect(rows()).toBe(19);
  expect(alarms).toEqual([]);
});

it('compares the live rows as they were at that sequence, though they have gone on within one batch', async () => {
  live.hold();
  await tell(10);
  await projection.rebuild('x');
  await until('the comparison', () => rebuild()?.phase === 'comparing');
  expect([rebuild()?.target, rows()]).toEqual([20, 10]);
  await tell(5);
  live.open();
  await until('the end', () => rebuild()?.phase === 'done');
  expect(rebuild()).toMatchObject({ target: 20, differs: [] });
  expect(rebuild()?.digest?.live).toBe(rebuild()?.digest?.rebuilt);
  await projection.atLeast({ minSeq: 25 });
  expect(rows()).toBe(25);
  expect(alarms).toEqual([]);
});

it('is begun anew by the next start where the projector stops before it could compare', async () => {
  live.hold();
  await tell(1);
  await projection.rebuild('x');
  await until('the comparison', () => rebuild()?.phase === 'comparing');
  await projection.stop();
  const again = new ReadModelFile(join(folder, 'status.db'), statusSchema, () => undefined);
  expect(again.notes().rebuild).toMatchObject({ id: 'x', endedAt: null });
  file = again;
  projection = new Projection('status', log, file, (of) => new StatusModel(of, () => undefined), createLogger('projector', 'silent'));
  await projection.start();
  await until('the end', () => rebuild()?.phase === 'done');
});
