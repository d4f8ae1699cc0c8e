// Plays seeds of chaos on the built apps, one after the other:
//   npm run test:chaos -- --seed 7 --seeds 1 --minutes 2
import { register } from 'node:module';
import { parseArgs } from 'node:util';

const text = (value) => ({ type: 'string', default: value });
const { values } = parseArgs({ options: { seed: text('1'), seeds: text('1'), minutes: text('2') } });
const [seed, seeds, minutes] = [Number(values.seed), Number(values.seeds), Number(values.minutes)];
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(seeds) || seeds < 1 || !(minutes > 0)) {
  console.error('usage: npm run test:chaos -- --seed <integer> --seeds <how many from that one on> --minutes <number>');
  process.exit(2);
}
process.setSourceMapsEnabled(true);
register('./typescript.mjs', import.meta.url);
const { main } = await import(new URL('main.ts', import.meta.url).href);
process.exit(await main(Array.from({ length: seeds }, (_, n) => seed + n), minutes));
