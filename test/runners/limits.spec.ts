import { type CommandUser, type Sandbox } from '#libs/runners';
import { codeOf, isRoot, sandbox, sh, somebody, somebodysSandbox, stage, type Stage } from './stage.js';

const theirs = await somebodysSandbox();

const places: readonly [string, { sandbox?: Sandbox | undefined; user?: CommandUser | undefined }, boolean][] = [
  ['without a sandbox', {}, true],
  ['in a sandbox', { sandbox }, sandbox !== undefined],
  ['as another user', { user: somebody }, somebody !== undefined],
  ['as another user in a sandbox', { user: somebody, sandbox: theirs }, somebody !== undefined && theirs !== undefined],
];

describe.each(places)('%s, a command', (_, options, isThere) => {
  const test = isThere ? it : it.skip;
  let commands: Stage;
  beforeAll(async () => (commands = await stage(isThere ? options : {})));
  afterAll(() => commands.close());

  test('that uses more processor time than its limit is ended by SIGXCPU, which its error names', async () => {
    const { outcome } = await commands.run(sh('while :; do :; done'), { policy: { limits: { cpuSeconds: 1 } } });
    expect(outcome).toMatchObject({
      ok: false,
      error: { code: 'COMMAND_CPU_LIMIT', retryable: false, message: expect.stringContaining('1 seconds of processor time') },
      result: { exitCode: null, signal: 'SIGXCPU', limits: { cpuSeconds: 1 } },
    });
  });

  test('that writes a longer file than its limit is ended by SIGXFSZ, which its error names', async () => {
    const seen = await commands.run({ argv: ['head', '-c', '4096', '/dev/zero'] }, { policy: { limits: { fileSizeBytes: 1024 } } });
    expect(codeOf(seen)).toBe('ok'); // Its output is no file.
    const { outcome } = await commands.run(sh('exec head -c 4096 /dev/zero > big'), { policy: { limits: { fileSizeBytes: 1024 } } });
    expect(outcome).toMatchObject({
      error: { code: 'COMMAND_FILE_SIZE_LIMIT', retryable: false },
      result: { exitCode: null, signal: 'SIGXFSZ', limits: { fileSizeBytes: 1024 } },
    });
    // Where a shell says by its exit code how the last of its own commands ended.
    const told = await commands.run(sh('head -c 4096 /dev/zero > big; exit $?'), { policy: { limits: { fileSizeBytes: 1024 } } });
    expect(told.outcome).toMatchObject({ error: { code: 'COMMAND_FILE_SIZE_LIMIT' } });
  });

  test('that wants more memory than its limit does not get it', async () => {
    const program = 'const all = []; for (let i = 0; i < 60; i++) all.push(Buffer.alloc(10e6, 1));';
    const memoryBytes = 300 * 2 ** 20;
    const argv = [process.execPath, '-e', program];
    const { outcome } = await commands.run({ argv }, { policy: { limits: { memoryBytes } } });
    expect(outcome).toMatchObject({ ok: false, result: { stderrTail: expect.stringContaining('llocat'), limits: { memoryBytes } } });
    expect(codeOf(await commands.run({ argv }))).toBe('ok');
  });

  test('that opens more files than its limit is told so', async () => {
    const script = 'exec 5</dev/null 6</dev/null; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do sh -c "exec 7</dev/null; ulimit -n" || exit; done';
    const { stdout } = await commands.run(sh(script, { limits: { openFiles: 64 } }), { policy: { limits: { openFiles: 128 } } });
    expect(new Set(stdout.trim().split('\n'))).toEqual(new Set(['64']));
    const program = `const fs = require('fs'); for (let i = 0; i < 200; i++) fs.openSync('/dev/null')`;
    const { outcome } = await commands.run({ argv: [process.execPath, '-e', program] }, { policy: { limits: { openFiles: 64 } } });
    expect(outcome).toMatchObject({ ok: false, result: { stderrTail: expect.stringContaining('EMFILE'), limits: { openFiles: 64 } } });
  });

  // Root may raise any limit but in a sandbox, where it is nobody.
  (isRoot && !options.sandbox && !options.user ? it.skip : test)('cannot lift its limits', async () => {
    const script = 'ulimit -n 1000 2>/dev/null; ulimit -d unlimited 2>/dev/null; ulimit -n; ulimit -d';
    const policy = { limits: { openFiles: 100, memoryBytes: 2 ** 30 } };
    const { stdout } = await commands.run(sh(script, { limits: { openFiles: 500 } }), { policy });
    expect(stdout).toBe(`100\n${2 ** 20}\n`);
  });

  test('that runs longer than its limit gets TERM, then KILL, and its error says so', async () => {
    const { outcome, stdout } = await commands.run(sh(`trap 'echo bye; exit 3' TERM; while :; do sleep 0.01; done`), {
      policy: { limits: { timeMs: 150 } },
    });
    expect([stdout, outcome]).toEqual(['bye\n', expect.objectContaining({ error: expect.objectContaining({ code: 'COMMAND_TIME_LIMIT', retryable: true }) })]);
    const ignoring = await commands.run(sh(`trap '' TERM; sleep 60`), { policy: { limits: { timeMs: 50 } } });
    expect(ignoring.outcome).toMatchObject({ error: { code: 'COMMAND_TIME_LIMIT' }, result: { signal: 'SIGKILL' } });
  });

  test('whose output never ends is cut at its limit, which it says, until its time is over', async () => {
    const { outcome, stdout, stderr } = await commands.run({ argv: ['yes'], maxOutputBytes: 10_000 }, {
      policy: { limits: { timeMs: 300, outputBytes: 4_000 } },
    });
    expect(outcome).toMatchObject({ error: { code: 'COMMAND_TIME_LIMIT' }, result: { truncated: true } });
    expect([stdout, stderr]).toEqual(['y\n'.repeat(2_000), '[runledger] output truncated after 4000 bytes\n']);
  });

  test('has its limits before anything of the plan’s is loaded, and what the plan sets all the same', async () => {
    const env = { LD_PRELOAD: '/no/such.so', GREETING: '$(hello) "a" \'b\'\n', PS4: 'x', IFS: ',' };
    const { stdout, stderr } = await commands.run({ argv: ['printenv', 'LD_PRELOAD', 'GREETING', 'PS4', 'IFS'], env }, {
      policy: { limits: { openFiles: 100 } },
    });
    expect(stdout).toBe(`${env.LD_PRELOAD}\n${env.GREETING}\n${env.PS4}\n${env.IFS}\n`);
    // Once, by printenv: what set its limits, and what made its sandbox, never had it.
    expect(stderr.match(/cannot be preloaded/g)).toHaveLength(1);
    expect((await commands.run({ argv: ['env'], env }, { policy: { limits: { openFiles: 100 } } })).stdout).not.toContain('HANDED_ON');
  });
});

it('a command that ignores SIGXCPU is killed a second later', async () => {
  const commands = await stage();
  const { outcome } = await commands.run(sh(`trap '' XCPU; while :; do :; done`, { limits: { cpuSeconds: 1 } }));
  expect(outcome).toMatchObject({ ok: false, result: { signal: 'SIGKILL', limits: { cpuSeconds: 1 } } });
  await commands.close();
});

(theirs ? it : it.skip)('a fork bomb stays in its sandbox and within its limit', async () => {
  const commands = await stage({ sandbox: theirs, user: somebody });
  const policy = { limits: { processes: 20, timeMs: 1_000 } };
  const bomb = commands.run({ shell: 'bash', script: 'b() { b | b & b; }; b' }, { policy });
  const other = commands.begin(sh('i=0; while [ $i -lt 15 ]; do sleep 60 & i=$((i+1)); done; echo started; wait'), { policy });
  const { outcome } = await bomb;
  expect(outcome.result?.['stderrTail']).toMatch(/fork|Resource temporarily unavailable/);
  expect(outcome.result).not.toHaveProperty('leftRunning');
  expect(await other.seen).toMatchObject({ stdout: 'started\n', outcome: { error: { code: 'COMMAND_TIME_LIMIT' } } });
  await commands.close();
});

(somebody ? it : it.skip)('a command of another user reads nothing of its executor’s', async () => {
  const commands = await stage({ user: somebody });
  const { stdout } = await commands.run(sh(`id -u; id -g; id -G; cat /proc/${process.pid}/environ 2>&1; echo "$HOME"; pwd; touch file && echo kept`), {
    execution: 'mine',
  });
  const [uid, gid, groups, refused, home, cwd, kept] = stdout.split('\n');
  const own = `${commands.folder}/home/work/acme/mine`;
  expect([uid, gid, groups, home, cwd, kept]).toEqual(['12345', '12345', '12345', own, own, 'kept']);
  expect(refused).toContain('Permission denied');
  await commands.close();
});
