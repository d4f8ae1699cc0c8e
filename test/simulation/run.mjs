// Plays seeds of the simulation and prints, step by step, what happened in the first that fails, or in the one that is asked for:
//   npm run test:simulation -- --seed 262
//   npm run test:simulation -- --seed 10001 --seeds 5000
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { seed: { type: 'string', default: '1' }, seeds: { type: 'string', default: '1' } } });
const jest = ['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js'];
const { status } = spawnSync(process.execPath, [...jest, '--runInBand', '--testMatch', '<rootDir>/test/simulation/replay.ts'], {
  cwd: fileURLToPath(new URL('../..', import.meta.url)),
  env: { ...process.env, SIMULATION_SEED: values.seed, SIMULATION_SEEDS: values.seeds },
  stdio: 'inherit',
});
process.exit(status ?? 1);
