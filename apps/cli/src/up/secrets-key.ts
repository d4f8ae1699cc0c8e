import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** Where `up` keeps the master key of secrets that it made itself. */
export const secretsKeyFile = (home: string): string => join(home, 'secrets.key');

/**
 * Makes the key where there is none: on disk before anything is sealed with it, as nothing opens a secret without. The caller holds the
 * folder.
 */
export function makeSecretsKey(home: string): void {
  const file = secretsKeyFile(home);
  if (existsSync(file)) return;
  write(`${file}.new`, `${randomBytes(32).toString('base64')}\n`);
  renameSync(`${file}.new`, file);
  sync(home);
}

function write(file: string, text: string): void {
  const fd = openSync(file, 'w', 0o600);
  writeSync(fd, text);
  fsyncSync(fd);
  closeSync(fd);
}

function sync(folder: string): void {
  const fd = openSync(folder, 'r');
  fsyncSync(fd);
  closeSync(fd);
}
