import { SHARDS, shardOf } from '#libs/contracts';
import { type CheckpointStore, CheckpointWriter, readCheckpoint } from './checkpoint.js';

const stores = (): CheckpointStore & { readonly puts: string[]; failing: boolean } => {
  const values = new Map<string, unknown>();
  return {
    puts: [],
    failing: false,
    get: (key) => Promise.resolve(values.get(key)),
    put(key, value) {
      if (this.failing) return Promise.reject(new Error('the store is away'));
      this.puts.push(key);
      values.set(key, value);
      return Promise.resolve();
    },
  };
};

const position = (sequence: number): { incarnation: string; sequence: number; hash: string } => ({
  incarnation: 'log',
  sequence,
  hash: `hash-${sequence}`,
});
const ref = { tenant: 'default', execution: 'e-1' };
const shard = shardOf(ref.execution);
const other = (shard + 1) % SHARDS;

it('names an execution in the checkpoint of its own shard, and no other', async () => {
  const store = stores();
  await new CheckpointWriter(store).write([shard, other], { position: position(7), active: [ref] });
  expect(await readCheckpoint(store, shard)).toEqual({ position: position(7), active: [ref] });
  expect(await readCheckpoint(store, other)).toEqual({ position: position(7), active: [] });
});

it('writes nothing again that tells nothing new', async () => {
  const store = stores();
  const writer = new CheckpointWriter(store);
  await writer.write([shard, other], { position: position(7), active: [ref] });
  store.puts.length = 0;
  await writer.write([shard, other], { position: position(7), active: [ref] });
  expect(store.puts).toEqual([]);
  await writer.write([shard, other], { position: position(7), active: [] });
  expect(store.puts).toEqual([`owner.${shard}`]);
});

it('writes again what failed to be written', async () => {
  const store = stores();
  const writer = new CheckpointWriter(store);
  store.failing = true;
  await expect(writer.write([shard], { position: position(7), active: [ref] })).rejects.toThrow('the store is away');
  expect(writer.isWriting).toBe(false);
  store.failing = false;
  await writer.write([shard], { position: position(7), active: [ref] });
  expect((await readCheckpoint(store, shard))?.active).toEqual([ref]);
});

it('puts the lists before the mark that relies on them', async () => {
  const store = stores();
  await new CheckpointWriter(store).write([shard], { position: position(7), active: [ref] });
  expect(store.puts).toEqual([`owner.${shard}.0`, `owner.${shard}`]);
});
