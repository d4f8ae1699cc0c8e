import { simulate } from './world.js';

// Run by run.mjs, not with the other tests: it plays what the environment says.
const first = Number(process.env['SIMULATION_SEED'] ?? 1);
const count = Number(process.env['SIMULATION_SEEDS'] ?? 1);

it(`plays ${count === 1 ? `seed ${first}` : `seeds ${first} to ${first + count - 1}`}`, async () => {
  for (let seed = first; seed < first + count; seed++) {
    const { violations } = await simulate(seed);
    if (count > 1 && violations.length === 0) continue;
    const { trace } = await simulate(seed, { isTraced: true });
    process.stdout.write(`seed ${seed}\n${trace.join('\n')}\n`);
    expect(violations).toEqual([]);
  }
}, 3_600_000);
