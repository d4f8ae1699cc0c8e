import { once } from 'node:events';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { inheritedFiles } from '#libs/runners';
import { eventually } from '#libs/testing';
import { codeOf, isRoot, sandbox, sh, stage, type Stage } from './stage.js';

let commands: Stage;
beforeAll(async () => (commands = await stage({ sandbox })));
afterAll(() => commands.close());

/** Processes of this machine with this text in their arguments. */
async function processesWith(text: string): Promise<readonly string[]> {
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(names.map((name) => readFile(`/proc/${name}/cmdline`, 'latin1').catch(() => '')));
  return lines.filter((line) => line.includes(text));
}

let uniqueSeconds = 86_400_000;
/** An argument for `sleep` that no other process has. */
const aWhile = (): string => String(++uniqueSeconds + process.pid * 1_000);

(sandbox ? describe : describe.skip)('in a sandbox, a command', () => {
  it('sees the system, its own folder and the allowed roots, and nothing else', async () => {
    await writeFile(join(commands.folder, 'root', 'file'), 'here');
    await writeFile(join(commands.folder, 'outside', 'secret'), 'no');
    const { stdout } = await commands.run(sh('ls -A /; cat "$RUNLEDGER_ROOT/file"'));
    const seen = stdout.trim().split('\n');
    expect(seen).toEqual(expect.arrayContaining(['dev', 'etc', 'proc', 'tmp', 'usr', 'here']));
    for (const name of ['boot', 'mnt', 'run', 'srv', 'sys', '.dockerenv']) expect(seen).not.toContain(name);
    const outside = await commands.run({ argv: ['cat', join(commands.folder, 'outside', 'secret')] });
    expect(outside.outcome).toMatchObject({ ok: false, result: { exitCode: 1 } });
  });

  it('sees no other execution’s folder, and not what the executor keeps, even inside a root', async () => {
    const execution = 'mine';
    await commands.run(sh('echo theirs > file'), { tenant: 'other', execution: 'theirs' });
    await writeFile(join(commands.folder, 'home', 'log'), 'events');
    const { stdout } = await commands.run(sh('cd "$RUNLEDGER_ROOT/home"; find . -mindepth 1; touch x work/x 2>/dev/null || echo sealed'), {
      execution,
      policy: { roots: [commands.folder] },
    });
    expect(stdout.trim().split('\n').toSorted()).toEqual(['./work', './work/acme', './work/acme/mine', 'sealed']);
  });

  it('writes to its own folder, the roots and /tmp only', async () => {
    const readable = join(commands.folder, 'readable');
    await mkdir(readable);
    const script = `for place in . "$RUNLEDGER_ROOT" /tmp /dev/shm /var/tmp / /usr /usr/bin /etc /opt /dev /proc /var ${readable}; do
      (: > "$place/written") 2>/dev/null && echo "$place"; done`;
    const { stdout } = await commands.run(sh(script), { policy: { readable: [readable] } });
    expect(stdout.trim().split('\n')).toEqual(['.', join(commands.folder, 'root'), '/tmp', '/dev/shm', '/var/tmp']);
    expect(await readFile(join(commands.folder, 'root', 'written'), 'utf8')).toBe('');
  });

  it('has a /tmp of its own, of limited size, gone with it', async () => {
    const execution = 'tmp';
    expect((await commands.run(sh('touch /tmp/mine; ls -A /tmp'), { execution })).stdout.split('\n')).toContain('mine');
    expect((await commands.run(sh('ls -A /tmp'), { execution })).stdout.split('\n')).not.toContain('mine');
    const full = await commands.run(sh('head -c 200000 /dev/zero > /tmp/big'), { policy: { limits: { tmpBytes: 65_536 } } });
    expect(full.outcome).toMatchObject({ ok: false, result: { stderrTail: expect.stringContaining('No space left') } });
  });

  it('finds a link in its folder to lead nowhere', async () => {
    const execution = 'links';
    await symlink('/etc/hostname', join(commands.folder, 'root', 'system'));
    await commands.run({ argv: ['ln', '-s', commands.folder, 'up'] }, { execution });
    const { stdout } = await commands.run(sh('ls up/outside 2>/dev/null || echo nothing'), { execution });
    expect(stdout).toBe('nothing\n');
    expect(codeOf(await commands.run(sh('pwd', { cwd: 'up' }), { execution }))).toEqual(['CWD_NOT_ALLOWED', false]);
    expect(codeOf(await commands.run(sh('pwd', { cwd: 'up/outside' }), { execution }))).toEqual(['CWD_NOT_ALLOWED', false]);
  });

  it('is nobody, without capabilities, and can gain none', async () => {
    const { stdout } = await commands.run(sh('id -u; grep -E "^(Cap(Prm|Eff|Bnd)|NoNewPrivs)" /proc/self/status'));
    expect(stdout.split(/\s+/)).toEqual([
      isRoot ? '65534' : String(process.getuid?.()),
      'CapPrm:',
      '0000000000000000',
      'CapEff:',
      '0000000000000000',
      'CapBnd:',
      '0000000000000000',
      'NoNewPrivs:',
      '1',
      '',
    ]);
    const nested = await commands.run(sh('unshare --user --map-root-user true'));
    expect(codeOf(nested)).toEqual(['COMMAND_EXITED', true]);
  });

  it('changes nothing of the machine through /proc, be its executor root or not', async () => {
    const places = '/proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sys/vm/drop_caches /proc/sysrq-trigger';
    const { stdout } = await commands.run(sh(`for place in ${places}; do (: >> "$place") 2>/dev/null && echo "$place"; done; hostname x 2>/dev/null || echo kept; mount -t tmpfs x /tmp 2>/dev/null || echo kept`));
    expect(stdout).toBe('kept\nkept\n');
  });

  it('cannot read what not everybody on the machine may', async () => {
    const { stdout } = await commands.run(sh('cat /etc/shadow /etc/gshadow 2>/dev/null; ls /etc/ssl/private 2>/dev/null; grep -c . /etc/passwd'));
    expect(stdout).toMatch(/^\d+\n$/);
  });

  it('sees no process but its own, so that nobody’s environment is there to be read', async () => {
    process.env['NATS_URL'] = 'nats://user:secret@host';
    try {
      const { stdout } = await commands.run(sh(`cat /proc/*/environ; ls -d /proc/[0-9]*; ls /proc/${process.pid} 2>&1; env`));
      expect(stdout).not.toContain('secret');
      expect(stdout.split('\n').filter((line) => /^\/proc\/\d+$/.test(line)).length).toBeLessThan(5);
      expect(stdout).toMatch(`/proc/${process.pid}`);
      expect(stdout).toContain('No such file');
    } finally {
      delete process.env['NATS_URL'];
    }
  });

  it('has its streams open and nothing else', async () => {
    const { stdout } = await commands.run({ argv: ['ls', '/proc/self/fd'] });
    // The fourth is the folder that ls reads. What this test's process inherited, an executor closes at its start.
    const left = inheritedFiles().map(String);
    expect(stdout.trim().split('\n').filter((fd) => !left.includes(fd))).toEqual(['0', '1', '2', '3']);
  });

  it('has no variables but its own, a home in its folder and TMPDIR', async () => {
    const { stdout } = await commands.run({ argv: ['env'], env: { LD_LIBRARY_PATH: '/x', SECRET: 'kept' } }, { execution: 'env' });
    const names = stdout.trim().split('\n').map((line) => line.split('=')[0] ?? '').filter((name) => !name.startsWith('RUNLEDGER_'));
    expect(names.filter((name) => !['LANG', 'LC_ALL', 'TZ', 'PWD'].includes(name)).toSorted()).toEqual([
      'HOME',
      'LD_LIBRARY_PATH',
      'PATH',
      'SECRET',
      'TMPDIR',
    ]);
    expect(stdout).toContain(`HOME=${commands.folder}/home/work/acme/env\n`);
  });

  it('shows nobody outside what its environment holds', async () => {
    const seconds = aWhile();
    const attempt = commands.begin({ argv: ['sleep', seconds], env: { TOKEN: `top-${seconds}-secret` } });
    await eventually(async () => (await processesWith(`sleep\0${seconds}`)).length > 1, { what: 'the command' });
    expect(await processesWith(`top-${seconds}-secret`)).toEqual([]);
    attempt.abort();
    await attempt.seen;
  });

  it('ends with all it started, wherever that moved to', async () => {
    const seconds = aWhile();
    const script = `sleep ${seconds} & setsid sleep ${seconds} & env -i setsid sleep ${seconds} &
      (setsid env -i sh -c 'trap "" TERM HUP INT; (sleep ${seconds} &) ; sleep ${seconds}; :' &)
      while [ "$(grep -lsa 'sleep.${seconds}' /proc/[0-9]*/cmdline | wc -l)" -lt 6 ]; do :; done; exit 4`;
    const { outcome } = await commands.run(sh(script));
    expect(outcome).toMatchObject({ ok: false, error: { code: 'COMMAND_EXITED' }, result: { exitCode: 4 } });
    expect(outcome.result).not.toHaveProperty('leftRunning');
    expect(await processesWith(seconds)).toEqual([]);
  });

  it('is told by TERM when it is stopped, with time to clean up', async () => {
    const script = `trap 'echo bye >&2; exit 5' TERM; echo ready; while :; do sleep 0.01; done`;
    const attempt = commands.begin(sh(script));
    await eventually(() => attempt.said() !== '', { what: 'its trap' });
    attempt.abort();
    expect((await attempt.seen).outcome).toMatchObject({
      error: { code: 'COMMAND_ABORTED' },
      result: { exitCode: 5, signal: null, stderrTail: expect.stringContaining('bye\n') },
    });
  });

  it('is killed after the grace time when it ignores TERM', async () => {
    const seconds = aWhile();
    const attempt = commands.begin(sh(`trap '' TERM; echo ready; setsid sleep ${seconds}`));
    await eventually(() => attempt.said() !== '', { what: 'its trap' });
    attempt.abort();
    expect((await attempt.seen).outcome).toMatchObject({ error: { code: 'COMMAND_ABORTED' }, result: { signal: 'SIGKILL' } });
    expect(await processesWith(seconds)).toEqual([]);
  });

  it('says how it ended, as without a sandbox', async () => {
    const ended = async (script: string, more = {}): Promise<unknown> => {
      const { outcome } = await commands.run(sh(script, more));
      return [outcome.ok, outcome.result?.['exitCode'], outcome.result?.['signal']];
    };
    expect(await ended(':')).toEqual([true, 0, null]);
    expect(await ended('exit 1')).toEqual([false, 1, null]);
    expect(await ended('exit 200')).toEqual([false, 200, null]);
    expect(await ended('kill -SEGV $$')).toEqual([false, null, 'SIGSEGV']);
    expect(await ended('kill -KILL $$')).toEqual([false, null, 'SIGKILL']);
    expect(await ended('exit 139', { successExitCodes: [139] })).toEqual([true, 139, null]);
    expect(codeOf(await commands.run({ argv: ['no-such-program'] }))).toEqual(['COMMAND_NOT_FOUND', false]);
    expect((await commands.run({ argv: ['cat'], stdin: 'grüße' })).outcome.ok).toBe(true);
  });

  it('that bubblewrap can’t start is a failure of its own', async () => {
    const broken = await stage({ sandbox: { ...sandbox!, isolation: ['--no-such-option'] } });
    const seen = await broken.run({ argv: ['true'] });
    expect(codeOf(seen)).toEqual(['COMMAND_SANDBOX_FAILED', true]);
    expect(!seen.outcome.ok && seen.outcome.error.message).toContain('--no-such-option');
    await broken.close();
  });

  describe('and the network', () => {
    const server = createServer((socket) => socket.end('reached'));
    let dial: string[];
    beforeAll(async () => {
      await once(server.listen(0, '127.0.0.1'), 'listening');
      const { port } = server.address() as AddressInfo;
      const program = `require('net').connect(${port}, '127.0.0.1').on('error', (e) => console.log(e.code)).pipe(process.stdout)`;
      dial = [process.execPath, '-e', program];
    });
    afterAll(() => server.close());

    it.each([
      ['never', undefined, 'ECONNREFUSED\n'],
      ['requested', undefined, 'ECONNREFUSED\n'],
      ['requested', true, 'reached'],
      ['always', undefined, 'reached'],
      ['always', false, 'ECONNREFUSED\n'],
    ] as const)('where the policy says %s and the plan %s: %s', async (network, asked, expected) => {
      const { stdout } = await commands.run({ argv: dial, ...(asked !== undefined && { network: asked }) }, { policy: { network } });
      expect(stdout).toBe(expected);
    });

    it('is refused to a plan that its policy does not grant it to', async () => {
      expect(codeOf(await commands.run({ argv: dial, network: true }))).toEqual(['COMMAND_NETWORK_REFUSED', false]);
    });
  });
});
