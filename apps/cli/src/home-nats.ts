import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

// What `up` leaves in RUNLEDGER_HOME for the other commands on this machine: where its nats-server is, and keys of its users.

export const userFolder = (home: string): string => join(home, 'nats', 'users');

const urlFile = (home: string): string => join(home, 'nats', 'url');

/** Undefined where NATS is somebody else's. */
export const noteNatsUrl = (home: string, url: string | undefined): void => {
  if (url === undefined) rmSync(urlFile(home), { force: true });
  else writeFileSync(urlFile(home), `${url}\n`, { mode: 0o600 });
};

/** Where the nats-server that `up` has started here listens; undefined where there is none. */
export const notedNatsUrl = (home: string): string | undefined => {
  try {
    return readFileSync(urlFile(home), 'utf8').trim();
  } catch {
    return undefined;
  }
};
