// Plays one seed of chaos on the built apps:
//   npm run test:chaos -- --seed 7 --minutes 2
import { register } from 'node:module';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { seed: { type: 'string', default: '1' }, minutes: { type: 'string', default: '2' } } });
const [seed, minutes] = [Number(values.seed), Number(values.minutes)];
if (!Number.isSafeInteger(seed) || !(minutes > 0)) {
  console.error('usage: npm run test:chaos -- --seed <integer> --minutes <number>');
  process.exit(2);
}
process.setSourceMapsEnabled(true);
register('./typescript.mjs', import.meta.url);
const { main } = await import(new URL('main.ts', import.meta.url).href);
process.exit(await main(seed, minutes));
