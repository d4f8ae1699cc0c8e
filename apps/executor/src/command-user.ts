import { chmod, mkdir, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { SettingsError } from '#libs/platform';
import type { CommandUser } from '#libs/runners';

const wrong = (user: string, why: string): SettingsError => new SettingsError(`RUNLEDGER_COMMAND_USER=${user} ${why}`);

/**
 * Who `name`, `uid` or `uid:gid` is; undefined when it is this process's own user, who need not be changed to. Throws
 * SettingsError for who is not known here, for root, and where this process may not become another user.
 */
export async function commandUser(user: string): Promise<CommandUser | undefined> {
  const { getuid, getgid } = process;
  if (!getuid || !getgid) throw wrong(user, 'has no meaning on this system');
  const found = await find(user);
  if (!found) throw wrong(user, 'is neither a user of this machine nor uid:gid');
  if (found.uid === 0) throw wrong(user, 'is root: name a user without privileges');
  if (found.uid === getuid() && found.gid === getgid()) return undefined;
  if (getuid() !== 0) throw wrong(user, 'takes an executor that runs as root; this one does not, so unset it');
  return found;
}

async function find(user: string): Promise<CommandUser | undefined> {
  const [, uid, gid = uid] = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(user) ?? [];
  const known = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  const entry = known.find(([name, , id]) => (uid === undefined ? name === user : id === uid));
  if (uid !== undefined && user.includes(':')) return { uid: Number(uid), gid: Number(gid) };
  if (entry) return { uid: Number(entry[2]), gid: Number(entry[3]) };
  return uid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}

/** Lets the user through the executor's own folders, where each execution's one is the user's. */
export async function makePassage(home: string, workRoot: string): Promise<void> {
  await mkdir(workRoot, { recursive: true, mode: 0o711 });
  for (const place of [home, workRoot]) await chmod(place, (await stat(place)).mode | 0o011);
}

/** Throws SettingsError when a directory on the way to `path` keeps the user out; what does not exist yet keeps nobody out. */
export async function requirePassage({ uid, gid }: CommandUser, path: string): Promise<void> {
  for (let place = path; ; place = dirname(place)) {
    const found = await stat(place).catch(() => undefined);
    const bit = found?.uid === uid ? 0o100 : found?.gid === gid ? 0o010 : 0o001;
    if (found && (found.mode & bit) === 0) {
      throw wrong(`${uid}:${gid}`, `may not pass through ${place}: chmod o+x it, or put RUNLEDGER_HOME elsewhere`);
    }
    if (place === dirname(place)) return;
  }
}
