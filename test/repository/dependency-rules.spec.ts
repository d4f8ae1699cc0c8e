import { createRequire } from 'node:module';
import { join } from 'node:path';
import { WorkingCopy, repository } from './working-copy.js';

type Violation = { from: string; to: string; rule: { name: string } };
type Report = { summary: { violations: Violation[] } };
type Rules = { forbidden: { name: string }[] };

// [file, its text, the rules it breaks]
const planted: readonly (readonly [string, string, readonly string[]])[] = [
  ['libs/contracts/src/planted.ts', `import 'node:path';`, ['contracts-imports']],
  ['libs/execution/src/planted-node.ts', `import fs from 'node:fs'; fs.statSync('.');`, ['execution-imports']],
  ['libs/execution/src/planted-npm.ts', `import 'rxjs';`, ['execution-imports']],
  [
    'libs/execution/src/planted-value.ts',
    `import { eventTypes } from '#libs/contracts'; export const all = eventTypes;`,
    ['execution-takes-types-only'],
  ],
  ['libs/expressions/src/planted-node.ts', `import 'node:vm';`, ['expressions-imports']],
  ['libs/projections/src/planted.ts', `import '#libs/ledger';`, ['projections-imports']],
  ['libs/access/src/planted-node.ts', `import 'node:fs';`, ['access-imports']],
  ['libs/secrets/src/planted-node.ts', `import 'node:fs';`, ['secrets-imports']],
  ['libs/ledger/src/planted-node.ts', `import 'node:fs';`, ['ledger-imports']],
  ['libs/ledger/src/planted-nats.ts', `import '@nats-io/jetstream';`, ['ledger-imports', 'nats-behind-jetstream']],
  ['libs/ledger/src/planted.spec.ts', `import '@nats-io/jetstream';`, ['nats-behind-jetstream']],
  ['libs/ledger/src/planted-nest.ts', `import '@nestjs/common';`, ['ledger-imports', 'nest-in-apps-and-platform']],
  ['libs/jetstream/src/planted.ts', `import '#libs/platform';`, ['jetstream-imports']],
  ['libs/artifacts/src/planted.ts', `import '#libs/platform';`, ['artifacts-imports']],
  ['libs/output/src/planted.ts', `import '#libs/platform';`, ['output-imports']],
  ['libs/runners/src/planted.ts', `import '#libs/execution';`, ['runners-imports']],
  ['libs/platform/src/planted.ts', `import '#libs/runners';`, ['platform-imports']],
  [
    'libs/testing/src/planted.ts',
    `import '../../../apps/gateway/src/planted-second.js';`,
    ['library-imports-app', 'testing-imports'],
  ],
  ['libs/planted/src/index.ts', `import 'node:fs';`, ['unlisted-library']],
  ['libs/runners/src/planted-deep.ts', `import '../../contracts/src/json.js';`, ['library-by-its-door']],
  ['libs/runners/src/planted-path.ts', `import '../../contracts/src/index.js';`, ['library-by-its-name']],
  ['libs/contracts/src/planted-self.ts', `import '#libs/contracts';`, ['siblings-directly']],
  ['libs/contracts/src/planted-one.ts', `import './planted-two.js';`, ['no-cycles']],
  ['libs/contracts/src/planted-two.ts', `import type {} from './planted-one.js';`, ['no-cycles']],
  ['apps/executor/src/planted.ts', `import '../../gateway/src/planted-second.js';`, ['app-imports-app']],
  [
    'apps/gateway/src/planted-deep.ts',
    `import '../../../libs/contracts/src/json.js';`,
    ['library-by-its-door-from-outside'],
  ],
  ['apps/gateway/src/planted-nats.ts', `import '@nats-io/transport-node';`, ['nats-behind-jetstream']],
  ['apps/gateway/src/planted-testing.ts', `import '#libs/testing';`, ['testing-in-tests-only']],
  ['apps/gateway/src/planted-test.ts', `import '../../../test/planted.js';`, ['tests-are-not-imported']],
  ['apps/gateway/src/planted-dev.ts', `import 'fast-check';`, ['declared-packages-only']],
  ['apps/gateway/src/planted-undeclared.ts', `import 'tslib';`, ['declared-packages-only']],
  ['apps/gateway/src/planted-missing.ts', `import './nowhere.js';`, ['resolvable']],
];

const allowed: readonly (readonly [string, string])[] = [
  ['libs/execution/src/planted-type.ts', `import type { Event } from '#libs/contracts'; export type A = Event;`],
  ['libs/execution/src/planted-inline.ts', `import { type Event } from '#libs/contracts'; export type A = Event;`],
  ['libs/ledger/src/planted-hash.ts', `import 'node:crypto'; import '#libs/execution'; import '#libs/contracts';`],
  ['libs/ledger/src/planted-suite.spec.ts', `import '#libs/testing'; import 'fast-check'; import 'node:fs';`],
  ['libs/jetstream/src/planted-nats.ts', `import '@nats-io/jetstream'; import '#libs/ledger'; import 'node:path';`],
  ['apps/gateway/src/planted-second.ts', `import '@nestjs/common'; import '#libs/contracts';`],
  ['test/planted.ts', `import '@nats-io/transport-node'; import '#libs/testing';`],
];

describe('the dependency rules', () => {
  const copy = new WorkingCopy();
  const broken = new Map<string, Set<string>>();

  beforeAll(() => {
    for (const [file, text] of [...planted, ...allowed]) copy.write(file, `${text}\nexport {};\n`);
    const { stdout } = copy.run('npm', 'run', '--silent', 'boundaries', '--', '--output-type', 'json');
    for (const { from, to, rule } of (JSON.parse(stdout) as Report).summary.violations) {
      // A cycle is reported once, from whichever of its files was met first.
      for (const file of rule.name === 'no-cycles' ? [from, to] : [from]) {
        broken.set(file, (broken.get(file) ?? new Set()).add(rule.name));
      }
    }
  }, 60_000);
  afterAll(() => copy.remove());

  const rulesBrokenBy = (file: string): string[] => [...(broken.get(file) ?? [])].sort();

  test.each(planted)('refuse %s: %s', (file, _text, rules) => {
    expect(rulesBrokenBy(file)).toEqual(rules);
  });

  test.each(allowed)('let %s pass: %s', (file) => {
    expect(rulesBrokenBy(file)).toEqual([]);
  });

  test('make the command fail', () => {
    const { status, output } = copy.run('npm', 'run', '--silent', 'boundaries');
    expect(status).not.toBe(0);
    expect(output).toContain('execution-imports: libs/execution/src/planted-node.ts → fs');
  }, 30_000);

  test('each have a planted violation here', () => {
    const { forbidden } = createRequire(import.meta.url)(join(repository, '.dependency-cruiser.cjs')) as Rules;
    const covered = new Set(planted.flatMap(([, , rules]) => rules));
    expect(forbidden.map(({ name }) => name).filter((name) => !covered.has(name))).toEqual([]);
  });
});
