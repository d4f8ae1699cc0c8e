import { isWithin } from './work-directory.js';

/** A bubblewrap that was seen to work on this machine. */
export type Sandbox = {
  /** Absolute path of bwrap. */
  readonly program: string;
  /** Arguments that do not depend on the attempt: namespaces, and who the command is. */
  readonly isolation: readonly string[];
  /** The system as every command sees it, read-only. */
  readonly system: readonly Mount[];
  /** Directories of the executor's PATH that lie elsewhere, read-only as well unless they are in a root. */
  readonly programs: readonly string[];
  /** What of the system is shown empty, where it is there. */
  readonly secrets: readonly Mount[];
};

/** One entry of the file tree a command sees; bubblewrap's arguments for it. */
export type Mount = { readonly path: string; readonly args: readonly string[] };

export const mount = {
  readOnly: (path: string): Mount => ({ path, args: ['--ro-bind', path, path] }),
  writable: (path: string): Mount => ({ path, args: ['--bind', path, path] }),
  link: (path: string, target: string): Mount => ({ path, args: ['--symlink', target, path] }),
  /** An empty directory that stays so, or an empty file. */
  emptyDirectory: (path: string): Mount => ({ path, args: ['--size', '4096', '--tmpfs', path] }),
  emptyFile: (path: string): Mount => ({ path, args: ['--ro-bind', '/dev/null', path] }),
  memory: (path: string, bytes: number | undefined): Mount => ({
    path,
    args: [...(bytes === undefined ? [] : ['--size', String(bytes)]), '--tmpfs', path],
  }),
};

/** What an attempt's sandbox is made of; all paths are real ones. */
export type SandboxView = {
  /** The execution's own directory. */
  readonly own: string;
  readonly roots: readonly string[];
  readonly readable: readonly string[];
  /** Directories that are shown as empty ones where they would be seen. */
  readonly hidden: readonly string[];
  readonly cwd: string;
  readonly network: boolean;
  /** Undefined: as much as the kernel gives, half of the memory. */
  readonly tmpBytes: number | undefined;
};

/**
 * bubblewrap's arguments but for the command. Of nested directories the inner one's rule holds: the executor's home
 * inside a root is hidden, and the execution's own directory inside that home is there all the same.
 */
export function sandboxArguments({ isolation, system, programs, secrets }: Sandbox, view: SandboxView): readonly string[] {
  const { own, roots, readable, hidden, cwd, network, tmpBytes } = view;
  const elsewhere = programs.filter((path) => ![own, ...roots].some((place) => isWithin(path, place)));
  const shown = [...system, ...secrets, ...[...elsewhere, ...readable].map(mount.readOnly), ...roots.map(mount.writable)];
  const masks = hidden.filter((path) => shown.some(({ path: place }) => isWithin(path, place)));
  const mounts: readonly Mount[] = [
    { path: '/proc', args: ['--proc', '/proc'] },
    { path: '/dev', args: ['--dev', '/dev'] },
    mount.memory('/dev/shm', tmpBytes),
    mount.memory('/tmp', tmpBytes),
    ...(roots.includes('/') ? [] : [mount.link('/var/tmp', '/tmp')]),
    ...shown,
    ...masks.map(mount.emptyDirectory),
    mount.writable(own),
  ];
  // Sorting is stable, and a directory comes before what lies in it.
  const inOrder = mounts.toSorted((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  // Without any capability root would still own /proc/sys, and a core pattern is a program that the machine's root runs.
  const sealed = ['/proc', '/dev', ...masks, ...(roots.includes('/') ? [] : ['/'])];
  return [
    ...isolation,
    ...(network ? [] : ['--unshare-net']),
    ...inOrder.flatMap(({ args }) => args),
    ...sealed.flatMap((path) => ['--remount-ro', path]),
    '--chdir',
    cwd,
  ];
}
