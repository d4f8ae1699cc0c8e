import { randomBytes, randomUUID } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '#libs/contracts';
import { eventually } from '#libs/testing';
import { createRunners } from './index.js';
import type { Attempt, NotKept, OutputChunk, Runner, StepReport } from './runner.js';

let root: string;
let command: Runner;
const incarnation = randomUUID();

beforeAll(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'runners-')));
  await mkdir(join(root, 'allowed', 'inner'), { recursive: true });
  await mkdir(join(root, 'outside'));
  command = createRunners({
    incarnation,
    policyOf: () => ({ roots: [join(root, 'allowed')], readable: [], network: 'never', limits: {} }),
    workRoot: join(root, 'work'),
    graceMs: 200,
  }).get('command')!;
});

afterAll(() => rm(root, { recursive: true, force: true }));

type Recorded = Attempt & { readonly chunks: OutputChunk[]; readonly steps: StepReport[]; readonly abort: () => void };

function attemptOf(input: JsonObject, changes: Partial<Attempt> = {}): Recorded {
  const chunks: OutputChunk[] = [];
  const steps: StepReport[] = [];
  const controller = new AbortController();
  return {
    ref: { tenant: 'acme', execution: randomUUID() },
    taskId: 'build',
    attempt: 2,
    input,
    executionInput: {},
    idempotencyKey: 'run/build',
    signal: controller.signal,
    output: async (chunk) => void chunks.push(chunk),
    step: (report) => void steps.push(report),
    ...changes,
    chunks,
    steps,
    abort: () => controller.abort(),
  };
}

const bytesOf = (chunks: readonly OutputChunk[], stream: 'stdout' | 'stderr' = 'stdout'): Buffer =>
  Buffer.concat(chunks.filter((chunk) => chunk.stream === stream).map(({ bytes }) => bytes));

async function output(input: JsonObject, changes?: Partial<Attempt>): Promise<string> {
  const attempt = attemptOf(input, changes);
  expect(await command.run(attempt)).toMatchObject({ ok: true });
  return bytesOf(attempt.chunks).toString();
}

const isAlive = async (pid: number): Promise<boolean> => {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return status !== '' && !status.includes(') Z ');
};

const node = (program: string): JsonObject => ({ argv: [process.execPath, '-e', program] });

describe('what is run', () => {
  it('hands arguments over literally, whatever a shell would make of them', async () => {
    const args = ['; rm -rf x', '$(x)', '${HOME}', '`x`', '*', '', 'a b', '--'];
    const program = 'JSON.stringify(process.argv.slice(1))';
    expect(JSON.parse(await output({ argv: [process.execPath, '-p', program, '--', ...args] }))).toEqual(args);
  });

  it.each(['sh', 'bash'])('runs a script in %s when the plan names it', async (shell) => {
    expect(await output({ shell, script: 'for i in 1 2; do echo "$0 $i"; done' })).toBe(`${shell} 1\n${shell} 2\n`);
  });

  it('writes stdin and closes it, and does not mind a command that never reads it', async () => {
    expect(await output({ argv: ['cat'], stdin: 'grüße' })).toBe('grüße');
    expect(await output({ argv: ['true'], stdin: 'x'.repeat(1_000_000) })).toBe('');
    expect(await output({ argv: ['cat'] })).toBe('');
  });

  it('tells a failed exit from a success, as the plan defines it', async () => {
    const script = { shell: 'sh', script: 'echo out; echo why >&2; exit 3' };
    expect(await command.run(attemptOf(script))).toEqual({
      ok: false,
      error: { code: 'COMMAND_EXITED', message: 'exit code 3', retryable: true },
      result: {
        exitCode: 3,
        signal: null,
        durationMs: expect.any(Number),
        outputBytes: 8,
        truncated: false,
        stderrTail: 'why\n',
      },
    });
    expect(await command.run(attemptOf({ ...script, successExitCodes: [3] }))).toEqual({
      ok: true,
      result: { exitCode: 3, signal: null, durationMs: expect.any(Number), outputBytes: 8, truncated: false },
    });
    expect(await command.run(attemptOf({ argv: ['true'], successExitCodes: [3] }))).toMatchObject({ ok: false });
  });

  it('names the signal that killed a command', async () => {
    expect(await command.run(attemptOf({ shell: 'sh', script: 'kill -SEGV $$' }))).toMatchObject({
      ok: false,
      error: { code: 'COMMAND_EXITED', message: 'killed by SIGSEGV', retryable: true },
      result: { exitCode: null, signal: 'SIGSEGV' },
    });
  });

  it('keeps the last 2 KiB of stderr of a failure, invalid bytes replaced', async () => {
    const program = `process.stderr.write(Buffer.concat([Buffer.alloc(5000, 97), Buffer.from([0xff, 10])]));
      process.exitCode = 1`;
    const outcome = await command.run(attemptOf(node(program)));
    expect(outcome.result?.['stderrTail']).toBe(`${'a'.repeat(2046)}\ufffd\n`);
  });

  it('says why a command could not be started', async () => {
    const plain = join(root, 'allowed', 'plain');
    await writeFile(plain, 'echo');
    await chmod(plain, 0o644);
    const codeOf = async (input: JsonObject): Promise<unknown> => {
      const outcome = await command.run(attemptOf(input));
      return outcome.ok ? 'ok' : [outcome.error.code, outcome.error.retryable];
    };
    expect(await codeOf({ argv: ['no-such-program'] })).toEqual(['COMMAND_NOT_FOUND', false]);
    expect(await codeOf({ argv: [plain] })).toEqual(['COMMAND_NOT_EXECUTABLE', false]);
    expect(await codeOf({ argv: ['true', ...Array.from({ length: 40 }, () => 'x'.repeat(130_000))] })).toEqual([
      'COMMAND_SPAWN_FAILED',
      false,
    ]);
    expect(await codeOf({ argv: [] })).toEqual(['INPUT_INVALID', false]);
  });
});

describe('the environment', () => {
  it('holds nothing of the executor but PATH and its like, and the plan cannot forge RUNLEDGER_*', async () => {
    process.env['NATS_URL'] = 'nats://user:secret@host';
    try {
      const attempt = attemptOf({ argv: ['env', '-0'], env: { GREETING: 'a=b\nc', LANG: 'C' } });
      await command.run(attempt);
      const found = new Map(
        bytesOf(attempt.chunks)
          .toString()
          .split('\0')
          .filter(Boolean)
          .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
      );
      const { execution } = attempt.ref;
      for (const inherited of ['PATH', 'HOME', 'LC_ALL', 'TZ', 'TMPDIR']) found.delete(inherited);
      expect(Object.fromEntries(found)).toEqual({
        GREETING: 'a=b\nc',
        LANG: 'C',
        RUNLEDGER_ROOT: join(root, 'allowed'),
        RUNLEDGER_EXECUTION: execution,
        RUNLEDGER_TASK: 'build',
        RUNLEDGER_ATTEMPT: '2',
        RUNLEDGER_IDEMPOTENCY_KEY: 'run/build',
        RUNLEDGER_EXECUTOR: incarnation,
        RUNLEDGER_RUN: `${incarnation}/${execution}/build/2`,
      });
      const forged = await command.run(attemptOf({ argv: ['env'], env: { RUNLEDGER_RUN: 'x' } }));
      expect(forged).toMatchObject({ ok: false, error: { code: 'INPUT_INVALID' } });
    } finally {
      delete process.env['NATS_URL'];
    }
  });
});

describe('the working directory', () => {
  const pwd = (cwd: string): JsonObject => ({ shell: 'sh', script: 'pwd -P', cwd });
  const codeIn = async (cwd: string, changes?: Partial<Attempt>): Promise<unknown> => {
    const outcome = await command.run(attemptOf(pwd(cwd), changes));
    return outcome.ok || [outcome.error.code, outcome.error.retryable];
  };

  it('is private to the execution and shared by its tasks', async () => {
    const ref = { tenant: 'acme', execution: randomUUID() };
    await output({ shell: 'sh', script: 'mkdir sub; echo hello > sub/file' }, { ref });
    expect(await output({ argv: ['cat', 'file'], cwd: 'sub' }, { ref, taskId: 'other' })).toBe('hello\n');
    const path = join(root, 'work', 'acme', ref.execution);
    expect((await stat(path)).mode & 0o777).toBe(0o700);
    expect((await stat(join(root, 'work'))).mode & 0o777).toBe(0o700);
    expect(await output({ argv: ['ls'] })).toBe('');
  });

  it('may be chosen inside the allowed roots', async () => {
    expect(await output(pwd(join(root, 'allowed')))).toBe(`${root}/allowed\n`);
    await symlink(join(root, 'allowed', 'inner'), join(root, 'allowed', 'fine'));
    expect(await output(pwd(join(root, 'allowed', 'fine')))).toBe(`${root}/allowed/inner\n`);
  });

  it('never leads out of them, be it by a link, by dots or by a prefix', async () => {
    await symlink(join(root, 'outside'), join(root, 'allowed', 'escape'));
    await mkdir(join(root, 'allowed-not'));
    const ref = { tenant: 'acme', execution: randomUUID() };
    await output({ argv: ['ln', '-s', '/', 'slash'] }, { ref });
    const allowed = join(root, 'allowed');
    for (const cwd of ['/', '..', `${allowed}/escape`, `${allowed}/..`, `${allowed}-not`]) {
      expect([cwd, await codeIn(cwd)]).toEqual([cwd, ['CWD_NOT_ALLOWED', false]]);
    }
    expect(await codeIn('slash', { ref })).toEqual(['CWD_NOT_ALLOWED', false]);
    expect(await codeIn('slash/etc', { ref })).toEqual(['CWD_NOT_ALLOWED', false]);
  });

  it('must exist and be a directory, which is told about allowed places only', async () => {
    await writeFile(join(root, 'allowed', 'file'), '');
    expect(await codeIn('missing')).toEqual(['CWD_NOT_FOUND', false]);
    expect(await codeIn(join(root, 'allowed', 'missing'))).toEqual(['CWD_NOT_FOUND', false]);
    expect(await codeIn(join(root, 'allowed', 'file'))).toEqual(['CWD_NOT_FOUND', false]);
    expect(await codeIn(join(root, 'outside', 'missing'))).toEqual(['CWD_NOT_ALLOWED', false]);
  });
});

describe('the end of a command', () => {
  /** Runs a script that prints process ids, and hands them over once as many are known. */
  async function running(
    script: string,
    count: number,
  ): Promise<{ outcome: Promise<unknown>; pids: number[]; abort: () => void }> {
    const attempt = attemptOf({ shell: 'bash', script });
    const outcome = Promise.resolve(command.run(attempt));
    const pids = await eventually(
      () => {
        const found = bytesOf(attempt.chunks).toString().trim().split('\n').map(Number).filter(Boolean);
        return found.length === count && found;
      },
      { what: 'the process ids' },
    );
    return { outcome, pids, abort: attempt.abort };
  }

  it('comes by TERM when it is aborted, with time to clean up', async () => {
    const script = `trap 'echo bye >&2; exit 5' TERM; echo $$; while :; do sleep 0.01; done`;
    const { outcome, abort } = await running(script, 1);
    abort();
    expect(await outcome).toMatchObject({
      ok: false,
      error: { code: 'COMMAND_ABORTED', retryable: false },
      result: { exitCode: 5, signal: null, stderrTail: expect.stringContaining('bye\n') },
    });
  });

  it('comes by KILL after the grace time when TERM is ignored', async () => {
    const { outcome, pids, abort } = await running(`trap '' TERM; sleep 60 & echo $$; echo $!; wait`, 2);
    const startedAt = performance.now();
    abort();
    expect(await outcome).toMatchObject({
      ok: false,
      error: { code: 'COMMAND_ABORTED' },
      result: { signal: 'SIGKILL' },
    });
    expect(performance.now() - startedAt).toBeGreaterThan(190);
    for (const pid of pids) expect(await isAlive(pid)).toBe(false);
  });

  it('takes along background processes, also one in a session of its own', async () => {
    const script = `
      sleep 60 & echo $!
      env -i sleep 60 & echo $!
      setsid sleep 60 & echo $!
      setsid sh -c 'trap "" TERM HUP; echo $$; sleep 60; :' &
      read -t 0.2 <> <(:)
      exit 4`;
    const { outcome, pids } = await running(script, 4);
    expect(await outcome).toMatchObject({ error: { code: 'COMMAND_EXITED' }, result: { exitCode: 4 } });
    for (const pid of pids) expect(await isAlive(pid)).toBe(false);
  });

  it('leaves the processes of another attempt alone', async () => {
    const other = await running('setsid sleep 60 & echo $!; echo $$; wait', 2);
    await output({ argv: ['true'] });
    expect(await Promise.all(other.pids.map(isAlive))).toEqual([true, true]);
    other.abort();
    await other.outcome;
    expect(await Promise.all(other.pids.map(isAlive))).toEqual([false, false]);
  });

  it('does not start when it was aborted before', async () => {
    const marker = join(root, 'allowed', 'started');
    const outcome = await command.run(attemptOf({ argv: ['touch', marker] }, { signal: AbortSignal.abort() }));
    expect(outcome).toMatchObject({ ok: false, error: { code: 'COMMAND_ABORTED', retryable: false } });
    await expect(stat(marker)).rejects.toThrow('ENOENT');
  });
});

describe('output', () => {
  it('survives byte for byte, on both streams', async () => {
    const file = join(root, 'random');
    const bytes = randomBytes(3_000_000);
    await writeFile(file, bytes);
    const script = 'cat "$FILE"; cat "$FILE" >&2';
    const attempt = attemptOf({ shell: 'sh', script, env: { FILE: file } });
    expect(await command.run(attempt)).toMatchObject({
      ok: true,
      result: { outputBytes: 6_000_000, truncated: false },
    });
    expect(bytesOf(attempt.chunks).equals(bytes)).toBe(true);
    expect(bytesOf(attempt.chunks, 'stderr').equals(bytes)).toBe(true);
    expect(attempt.chunks.map(({ chunk }) => chunk)).toEqual(attempt.chunks.map((_, index) => index + 1));
  });

  it('ends at the limit to the byte, says so, and lets the command go on', async () => {
    const program = `process.stdout.write(Buffer.alloc(3000000, 'ab'), () => { process.stderr.write('done'); })`;
    const attempt = attemptOf({ ...node(program), maxOutputBytes: 100_001 });
    expect(await command.run(attempt)).toMatchObject({ ok: true, result: { outputBytes: 3_000_004, truncated: true } });
    expect(bytesOf(attempt.chunks).equals(Buffer.alloc(100_001, 'ab'))).toBe(true);
    expect(bytesOf(attempt.chunks, 'stderr').toString()).toBe('[runledger] output truncated after 100001 bytes\n');
    expect(attempt.chunks.map(({ truncated }) => truncated)).toEqual([
      ...attempt.chunks.slice(1).map(() => false),
      true,
    ]);
  });

  it('holds the command back while the sink is behind', async () => {
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    let handed = 0;
    const written = join(root, 'allowed', 'written');
    const program = `process.stdout.write(Buffer.alloc(4000000), () => fs.writeFileSync(process.env.WRITTEN, ''))`;
    const attempt = attemptOf({ ...node(program), env: { WRITTEN: written } }, {
      output: async () => {
        handed += 1;
        await held;
      },
    });
    const outcome = Promise.resolve(command.run(attempt));
    await eventually(() => handed === 4, { what: 'a full window' });
    const state = await Promise.race([outcome, new Promise((resolve) => setTimeout(resolve, 200, 'still running'))]);
    expect([state, handed]).toEqual(['still running', 4]);
    await expect(stat(written)).rejects.toThrow('ENOENT');
    release();
    expect(await outcome).toMatchObject({ ok: true, result: { outputBytes: 4_000_000 } });
    expect(handed).toBeGreaterThan(100);
  });

  it('that cannot be stored is counted and fails nothing', async () => {
    const outcome = await command.run(
      attemptOf({ argv: ['echo', 'x'] }, { output: () => Promise.reject(new Error('no storage')) }),
    );
    expect(outcome).toMatchObject({ ok: true, result: { outputLostChunks: 1, outputBytes: 2 } });
  });

  it('becomes steps unless the plan does not want it', async () => {
    const script = 'echo "> step_start:compile k=v"; echo STEP_COMPLETE:compile; printf "STEP_START:last"';
    const attempt = attemptOf({ shell: 'sh', script });
    await command.run(attempt);
    expect(attempt.steps).toEqual([
      { kind: 'started', name: 'compile', metadata: { k: 'v' } },
      { kind: 'completed' },
      { kind: 'started', name: 'last', metadata: {} },
    ]);
    const silent = attemptOf({ shell: 'sh', script, markers: false });
    await command.run(silent);
    expect(silent.steps).toEqual([]);
  });

  it('names values of the execution, and files that are kept', async () => {
    const [told, kept]: [string[], string[]] = [[], []];
    const script = 'mkdir -p out; printf "<b>" > out/report.html; ln -s out/report.html link; echo META:version:1.2; echo ARTIFACT:out/report.html:The report; echo ARTIFACT:link';
    const metadata = (key: string, value: string): void => void told.push(`${key}=${value}`);
    const artifact: Attempt['artifact'] = async ({ name, description, bytes, handle }) => {
      kept.push(`${name} ${description} ${bytes} ${(await handle.readFile()).toString()}`);
      return undefined;
    };
    const attempt = attemptOf({ shell: 'sh', script }, { metadata, artifact });
    expect(await command.run(attempt)).toMatchObject({ ok: true });
    expect(told).toEqual(['version=1.2']);
    expect(kept).toEqual(['out/report.html The report 3 <b>', 'link  3 <b>']);
  });

  it('says which files it named and nobody could keep: missing, outside, no files, or more than there is room for', async () => {
    const script = 'mkfifo pipe; ln -s /etc/hostname outside; touch there; for f in gone ../.. /etc/passwd outside pipe . there; do echo "ARTIFACT:$f"; done';
    const asked: string[] = [];
    const artifact: Attempt['artifact'] = ({ name }) => {
      asked.push(name);
      return Promise.resolve({ why: 'there is no room', retryable: true });
    };
    let written = '';
    const sink: Attempt['output'] = async ({ bytes }) => void (written += Buffer.from(bytes).toString());
    await command.run(attemptOf({ shell: 'sh', script }, { artifact, output: sink }));
    expect(asked).toEqual(['there']);
    const refusals = written.split('\n').filter((line) => line.startsWith('[runledger]'));
    expect(refusals).toEqual([
      '[runledger] artifact "gone" not kept: there is no such file',
      '[runledger] artifact "../.." not kept: it lies outside the working directory',
      '[runledger] artifact "/etc/passwd" not kept: it lies outside the working directory',
      '[runledger] artifact "outside" not kept: it lies outside the working directory',
      '[runledger] artifact "pipe" not kept: it is no file',
      '[runledger] artifact "." not kept: it is no file',
      '[runledger] artifact "there" not kept: there is no room',
    ]);
  });

  it('fails for good where more files fit than are kept, or one is refused for good, as another attempt would come to the same', async () => {
    const keeping = (why?: NotKept): Partial<Attempt> => ({ artifactPatterns: ['out/**'], artifact: () => Promise.resolve(why) });
    const make = (files: number): JsonObject => ({ shell: 'sh', script: `mkdir -p out; for i in $(seq ${files}); do : > out/$i; done` });
    expect(await command.run(attemptOf(make(100), keeping()))).toMatchObject({ ok: true });
    const refused = { why: 'there are more bytes than are taken', retryable: false };
    expect(await command.run(attemptOf(make(1), keeping(refused)))).toMatchObject({ ok: false, error: { code: 'ARTIFACT_NOT_KEPT', retryable: false } });
    expect(await command.run(attemptOf(make(1), keeping({ why: 'the broker is away', retryable: true })))).toMatchObject({ ok: false, error: { code: 'ARTIFACT_NOT_KEPT', retryable: true } });
    const many = await command.run(attemptOf(make(101), keeping()));
    expect(many).toMatchObject({ ok: false, error: { code: 'ARTIFACT_NOT_KEPT', message: expect.stringContaining('more than 100 files fit out/**; pack them into an archive') as string, retryable: false } });
  });

  it('is stopped by a step that fails and was to stop it', async () => {
    const attempt = attemptOf({ shell: 'sh', script: 'echo "STEP_START:migrate stop_on_error=true"; echo STEP_ERROR:no such table; sleep 60; echo never' });
    expect(await command.run(attempt)).toMatchObject({ ok: false, error: { code: 'COMMAND_STEP_FAILED', message: "stopped as step 'migrate' failed: no such table", retryable: true } });
    expect(attempt.steps).toEqual([{ kind: 'started', name: 'migrate', metadata: { stop_on_error: 'true' } }, { kind: 'failed', error: 'no such table' }]);
  }, 10_000);
});

describe('signs of life', () => {
  const counted = () => {
    let beats = 0;
    let suspended = 0;
    return { heartbeat: { beat: () => (beats += 1), suspend: () => (suspended += 1) }, beats: () => beats, suspended: () => suspended };
  };

  it('are what a command writes, to either stream', async () => {
    const silent = counted();
    expect(await output(node(''), { heartbeat: silent.heartbeat })).toBe('');
    expect(silent.beats()).toBe(0);
    const talkative = counted();
    await output(node('process.stderr.write("a")'), { heartbeat: talkative.heartbeat });
    expect(talkative.beats()).toBeGreaterThan(0);
  });

  it('are not asked for while nobody reads what it writes', async () => {
    const { heartbeat, suspended } = counted();
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const running = output(node('process.stdout.write("x".repeat(1 << 20))'), { heartbeat, output: () => held });
    await eventually(() => suspended() > 0, { what: 'reading to pause' });
    release();
    await running;
  });
});
