// The wire contract: proto/ is the source, libs/contracts/src/generated follows from it, proto/baseline.json is what
// `buf breaking` compares with.
//   node scripts/contract.mjs generate   writes the generated types and the schema
//   node scripts/contract.mjs check      fails when the committed types are not what proto/ says
//   node scripts/contract.mjs accept     makes proto/ the new baseline; what it broke until then stays broken
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const generated = 'libs/contracts/src/generated';
const baseline = 'proto/baseline.json';
const buf = 'node_modules/.bin/buf';
/** Lists that histories may lack, having begun before there were any: absent is empty. */
const laterLists = new Set(['RetryPolicy.finalErrors', 'RetryPolicy.retryOn', 'PlanTask.artifacts']);

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
  writeFileSync(join(generated, 'schema.ts'), schema());
}

function check() {
  execFileSync(buf, ['generate', '-o', folder], { stdio: 'inherit' });
  writeFileSync(join(folder, generated, 'schema.ts'), schema());
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

/** The fields of every message of ours as a TypeScript constant, for code that checks what it reads. */
function schema() {
  const image = join(folder, 'image.json');
  execFileSync(buf, ['build', '--exclude-source-info', '-o', image], { stdio: 'inherit' });
  const { file } = JSON.parse(readFileSync(image, 'utf8'));
  const messages = file
    .filter((source) => source.package.startsWith('runledger.'))
    .flatMap(({ messageType = [] }) => messageType)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const lines = messages.map((message) => {
    const fields = (message.field ?? []).map((field) => `${field.jsonName}: '${typeOf(message, field)}'`);
    return `  ${message.name}: {${fields.length > 0 ? ` ${fields.join(', ')} ` : ''}},`;
  });
  return `// Generated from proto/ by scripts/contract.mjs; not to be edited.

/**
 * Every message by its name: the type of each field by the field's JSON name. [] is a list, {} a map by text; ? may be absent.
 * Struct is a JSON object, Value any JSON, Timestamp an RFC 3339 text in UTC.
 */
export const messages = {
${lines.join('\n')}
} as const;
`;
}

function typeOf(message, field) {
  const { type, typeName = '', label, proto3Optional } = field;
  const name = typeName.slice(typeName.lastIndexOf('.') + 1);
  const entry = (message.nestedType ?? []).find((nested) => nested.name === name && nested.options?.mapEntry);
  if (entry) return `${typeOf(entry, entry.field[1])}{}`;
  const scalars = {
    TYPE_STRING: 'string',
    TYPE_BOOL: 'bool',
    TYPE_UINT32: 'uint32',
    TYPE_UINT64: 'uint64',
    TYPE_DOUBLE: 'double',
    TYPE_MESSAGE: name,
  };
  if (scalars[type] === undefined) throw new Error(`${message.name} has a field of ${type}; teach contract.mjs and schema.ts about it`);
  const list = label === 'LABEL_REPEATED' ? '[]' : '';
  return scalars[type] + list + (proto3Optional || laterLists.has(`${message.name}.${field.jsonName}`) ? '?' : '');
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
