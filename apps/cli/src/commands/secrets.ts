import { readFileSync } from 'node:fs';
import { CliError } from '../cli-error.js';
import { EXIT, type ExitCode } from '../exit-codes.js';
import type { Session } from '../session.js';
import { dateTime } from '../terminal/format.js';
import { type Cell, heading, printTable } from '../terminal/table.js';

type SecretInfo = { readonly name: string; readonly version: number; readonly createdAt: string; readonly updatedAt: string };

/** The value comes by standard input: what stands on a command line is in the list of processes and in the shell's history. */
export const setSecret = async ({ api, out, json }: Session, name: string): Promise<ExitCode> => {
  if (process.stdin.isTTY) throw new CliError(EXIT.misuse, 'VALUE_MISSING', `give the value by standard input: runledger secrets set ${name} < FILE`);
  // Whoever writes `echo value |` does not mean the line's end.
  const value = readFileSync(process.stdin.fd, 'utf8').replace(/\r?\n$/, '');
  const stored = await api.put<SecretInfo>(`/secrets/${name}`, { value });
  if (json) out.json(stored);
  else out.line(`secret ${stored.name} is stored, version ${stored.version}`);
  return EXIT.ok;
};

export const listSecrets = async ({ api, out, err, json }: Session): Promise<ExitCode> => {
  const answer = await api.get<{ readonly secrets: readonly SecretInfo[] }>('/secrets');
  if (json) out.json(answer);
  else if (answer.secrets.length === 0) err.line('no secrets');
  else {
    printTable(out, [
      heading('NAME', 'VERSION', 'UPDATED', 'CREATED'),
      ...answer.secrets.map(({ name, version, updatedAt, createdAt }): readonly Cell[] => [name, String(version), dateTime(updatedAt), dateTime(createdAt)]),
    ]);
  }
  return EXIT.ok;
};

export const removeSecret = async ({ api, out, json }: Session, name: string): Promise<ExitCode> => {
  await api.delete<unknown>(`/secrets/${name}`);
  if (json) out.json({ name, removed: true });
  else out.line(`secret ${name} is gone`);
  return EXIT.ok;
};
