// The wire contract: proto/ is the source, libs/contracts/src/generated follows from it, proto/baseline.json is what
// `buf breaking` compares with.
//   node scripts/contract.mjs generate   writes the generated types
//   node scripts/contract.mjs check      fails when the committed types are not what proto/ says
//   node scripts/contract.mjs accept     makes proto/ the new baseline; what it broke until then stays broken
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const generated = 'libs/contracts/src/generated';
const baseline = 'proto/baseline.json';
const buf = 'node_modules/.bin/buf';

const commands = { generate, check, accept };
const command = commands[process.argv[2]];
if (!command) throw new Error(`usage: contract.mjs ${Object.keys(commands).join('|')}`);
const folder = mkdtempSync(join(tmpdir(), 'runledger-contract-'));
try {
  command();
} finally {
  rmSync(folder, { recursive: true });
}

function generate() {
  execFileSync(buf, ['generate', '--clean'], { stdio: 'inherit' });
}

function check() {
  execFileSync(buf, ['generate', '-o', folder], { stdio: 'inherit' });
  const expected = files(join(folder, generated));
  const committed = files(generated);
  const different = [...new Set([...expected.keys(), ...committed.keys()])].filter(
    (file) => expected.get(file) !== committed.get(file),
  );
  if (different.length === 0) return;
  console.error(`${generated} is not what proto/ says; run: npm run contract:generate`);
  for (const file of different) console.error(`  ${file}`);
  process.exitCode = 1;
}

function accept() {
  const { stdout } = spawnSync(buf, ['breaking', '--against', baseline], { encoding: 'utf8' });
  if (stdout) console.log(`Breaks against the baseline until now:\n${stdout}`);
  const image = join(folder, 'image.json');
  execFileSync(buf, ['build', '--exclude-source-info', '-o', image], { stdio: 'inherit' });
  writeFileSync(baseline, JSON.stringify(JSON.parse(readFileSync(image, 'utf8')), null, 2) + '\n');
}

function files(root) {
  const paths = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    paths.map((entry) => {
      const path = join(entry.parentPath ?? entry.path, entry.name);
      return [path.slice(root.length + 1), readFileSync(path, 'utf8')];
    }),
  );
}
