// Every gate of the repository, in order, up to the first that fails. Arguments go to jest:
//   npm test -- libs/ledger
// Gates are quiet unless they fail; jest speaks for itself and last.
import { spawnSync } from 'node:child_process';

const node = process.execPath;
const bin = (name) => `node_modules/.bin/${name}`;

const gates = [
  ['generated types', node, 'scripts/contract.mjs', 'check'],
  ['contract lint', bin('buf'), 'lint'],
  ['contract compatibility', bin('buf'), 'breaking', '--against', 'proto/baseline.json'],
  ['types', 'npm', 'run', '--silent', 'typecheck'],
  ['lint', 'npm', 'run', '--silent', 'lint'],
  ['dependency rules', 'npm', 'run', '--silent', 'boundaries'],
  ['build', 'npm', 'run', '--silent', 'build'],
];

for (const [name, command, ...args] of gates) {
  process.stdout.write(`${name} … `);
  const started = performance.now();
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 << 20 });
  console.log(`${status === 0 ? 'ok' : 'FAILED'} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
  if (status === 0) continue;
  process.stdout.write(stdout ?? '');
  process.stderr.write(stderr ?? '');
  if (error) console.error(error.message);
  console.error(`\n${name} failed; what comes after it did not run: ${[command, ...args].join(' ')}`);
  process.exit(1);
}

console.log('tests');
const jest = ['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js', ...process.argv.slice(2)];
process.exit(spawnSync(node, jest, { stdio: 'inherit' }).status ?? 1);
