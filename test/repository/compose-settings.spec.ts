import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from './working-copy.js';

const compose = readFileSync(join(repository, 'docker-compose.yml'), 'utf8');

const service = (name: string): string => new RegExp(`\n  ${name}:\n((?:    .*\n|\n)+)`).exec(compose)?.[1] ?? '';

it('lets every setting of authentication through to the gateway, which would ask nobody without them', () => {
  const settings = readFileSync(join(repository, 'libs/platform/src/auth-settings.ts'), 'utf8');
  const names = new Set(settings.match(/\b(RUNLEDGER|STEPFLOW)_(AUTH|JWT)_[A-Z_]*[A-Z]\b/g));
  // A file would have to be mounted.
  names.delete('RUNLEDGER_JWT_KEY_FILE');
  expect(names.size).toBeGreaterThan(8);
  for (const name of names) expect(service('gateway')).toContain(`\n      ${name}:\n`);
});

it('publishes nothing but on loopback', () => {
  const published = [...compose.matchAll(/^ +ports: \[(.*)\]$/gm)].map(([, ports]) => ports);
  expect(published).toHaveLength(compose.match(/^ +ports:/gm)?.length ?? 0);
  for (const ports of published) expect(ports).toMatch(/^'127\.0\.0\.1:[^',]*'$/);
});
