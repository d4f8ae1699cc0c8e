import { chmod, copyFile, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, sh, stage, type Stage } from './stage.js';

let commands: Stage;
beforeAll(async () => (commands = await stage()));
afterAll(() => commands.close());

const NOT_ALLOWED = ['COMMAND_NOT_ALLOWED', false];
const code = async (input: Parameters<Stage['run']>[0], programs: readonly string[], more = {}): Promise<unknown> =>
  codeOf(await commands.run(input, { policy: { programs }, ...more }));

describe('where a policy allows only some programs', () => {
  it('those run, by their names and by their paths', async () => {
    expect(await code({ argv: ['true'] }, ['true'])).toBe('ok');
    expect(await code({ argv: ['/usr/bin/true'] }, ['true'])).toBe('ok');
    expect(await code({ argv: ['true'] }, ['/usr/bin/true'])).toBe('ok');
    // One folder by two names.
    expect(await code({ argv: ['/bin/true'] }, ['/usr/bin/true'])).toBe('ok');
  });

  it('no other does, whether it exists or not', async () => {
    expect(await code({ argv: ['false'] }, ['true'])).toEqual(NOT_ALLOWED);
    expect(await code({ argv: ['no-such-program'] }, ['true'])).toEqual(NOT_ALLOWED);
    expect(await code({ argv: ['true'] }, [])).toEqual(NOT_ALLOWED);
    expect(await code({ argv: ['no-such-program'] }, ['no-such-program'])).toEqual(NOT_ALLOWED);
  });

  it('a shell is one of them', async () => {
    expect(await code(sh('true'), ['true'])).toEqual(NOT_ALLOWED);
    expect(await code({ argv: ['sh', '-c', 'true'] }, ['true', 'bash'])).toEqual(NOT_ALLOWED);
    expect(await code(sh('true'), ['sh'])).toBe('ok');
  });

  it('none of the plan’s making takes an allowed one’s name', async () => {
    const root = join(commands.folder, 'root');
    await copyFile('/usr/bin/id', join(root, 'true'));
    await chmod(join(root, 'true'), 0o755);
    expect(await code({ argv: ['./true'], cwd: root }, ['true'])).toEqual(NOT_ALLOWED);
    expect(await code({ argv: ['true'], cwd: root, env: { PATH: root } }, ['true'])).toEqual(NOT_ALLOWED);
    expect(await code({ argv: ['true'], cwd: root, env: { PATH: '' } }, ['true'])).toEqual(NOT_ALLOWED);
    expect(await code({ argv: ['true'], cwd: root, env: { PATH: `${root}:/usr/bin` } }, ['true'])).toEqual(NOT_ALLOWED);
  });

  it('one of many names of a binary allows no other of its names', async () => {
    const box = join(commands.folder, 'box');
    await mkdir(box);
    await copyFile('/usr/bin/true', join(box, 'all'));
    await chmod(join(box, 'all'), 0o755);
    for (const name of ['ls', 'sh']) await symlink('all', join(box, name));
    expect(await code({ argv: [join(box, 'ls')] }, [join(box, 'ls')])).toBe('ok');
    expect(await code({ argv: [join(box, 'sh')] }, [join(box, 'ls')])).toEqual(NOT_ALLOWED);
  });

  it.each(['LD_PRELOAD', 'LD_LIBRARY_PATH', 'LD_AUDIT', 'GLIBC_TUNABLES', 'BASH_ENV'])('%s puts no other code into them', async (name) => {
    expect(await code({ argv: ['true'], env: { [name]: '/x' } }, ['true'])).toEqual(NOT_ALLOWED);
  });
});

describe('a program', () => {
  it('is looked for as execvp does: along PATH, relative entries from the working directory, what can’t be run last', async () => {
    const root = join(commands.folder, 'root');
    await mkdir(join(root, 'bin'), { recursive: true });
    await mkdir(join(root, 'later'));
    await copyFile('/usr/bin/true', join(root, 'later', 'tool'));
    await copyFile('/usr/bin/true', join(root, 'bin', 'tool'));
    await chmod(join(root, 'bin', 'tool'), 0o644);
    await chmod(join(root, 'later', 'tool'), 0o755);
    const run = async (PATH: string): Promise<unknown> => codeOf(await commands.run({ argv: ['tool'], cwd: root, env: { PATH } }));
    expect(await run('bin:later')).toBe('ok');
    expect(await run('bin')).toEqual(['COMMAND_NOT_EXECUTABLE', false]);
    expect(await run('/usr/bin')).toEqual(['COMMAND_NOT_FOUND', false]);
  });

  it('keeps the name it was called by', async () => {
    expect((await commands.run({ argv: ['bash', '-c', 'echo $0'] })).stdout).toBe('bash\n');
    expect((await commands.run(sh('echo $0'), { policy: { limits: { openFiles: 100 } } })).stdout).toBe('sh\n');
  });
});

(process.platform === 'linux' ? it : it.skip)('a working directory that turns into a link to elsewhere meanwhile leads nowhere else', async () => {
  const root = join(commands.folder, 'root');
  await mkdir(join(root, 'real'));
  await symlink(join(commands.folder, 'outside'), join(root, 'link'));
  // The name means one and the other in turn, as fast as can be, while commands start there.
  const swapper = commands.begin({
    argv: [
      process.execPath,
      '-e',
      `process.chdir(${JSON.stringify(root)}); const { renameSync: move } = fs;
       for (;;) { move('real', 'aside'); move('link', 'real'); move('real', 'link'); move('aside', 'real'); }`,
    ],
  });
  const found = new Set<unknown>();
  for (let i = 0; i < 150; i++) {
    const seen = await commands.run(sh('pwd -P', { cwd: join(root, 'real') }));
    found.add(seen.outcome.ok ? seen.stdout : codeOf(seen));
  }
  swapper.abort();
  await swapper.seen;
  expect([...found].filter((what) => typeof what === 'string' && what.includes('outside'))).toEqual([]);
  expect([...found].map(String)).toContain('CWD_NOT_ALLOWED,false');
  expect([...found]).toContain(`${root}/real\n`);
});
