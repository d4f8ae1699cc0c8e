import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { transpile } from '#libs/testing';
import { createRunners } from './index.js';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'runners-'));
  await transpile(fileURLToPath(new URL('.', import.meta.url)), folder, ['contracts', 'secrets']);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** Whether a process that does no more than import this file has got what starts processes. */
async function canStartProcesses(file: string): Promise<boolean> {
  const program = `await import(${JSON.stringify(join(folder, file))});
    console.log(process.moduleLoadList.includes('NativeModule child_process'))`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
  return stdout.trim() === 'true';
}

it('checks inputs without loading what starts processes', async () => {
  expect(await canStartProcesses('index.js')).toBe(false);
  expect(await canStartProcesses('command-run.js')).toBe(true);
});

it('names the runners of an executor, of which noop alone answers in the same turn', async () => {
  const runners = createRunners({ incarnation: 'a', policyOf: () => ({ roots: [], readable: [], network: 'never', limits: {} }), workRoot: folder });
  expect([...runners.values()].map(({ name, sideEffects }) => [name, sideEffects])).toEqual([
    ['noop', false],
    ['command', true],
    ['http', true],
  ]);
  const attempt = {
    ref: { tenant: 'acme', execution: 'run' },
    taskId: 'join',
    attempt: 1,
    executionInput: {},
    idempotencyKey: 'run/join',
    signal: new AbortController().signal,
    output: async () => {},
    step: () => {},
  };
  expect(runners.get('noop')?.run({ ...attempt, input: { result: { a: 1 } } })).toEqual({ ok: true, result: { a: 1 } });
  expect(runners.get('noop')?.run({ ...attempt, input: {} })).toEqual({ ok: true, result: {} });
});

it.each(['', 'a b', 'a/b', 'a\n'])('refuses the incarnation %j', (incarnation) => {
  expect(() => createRunners({ incarnation, policyOf: () => ({ roots: [], readable: [], network: 'never', limits: {} }), workRoot: folder })).toThrow(RangeError);
});
