import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CliError } from '../cli-error.js';
import { requestFor } from './run.js';

const plan = { name: 'nightly', tasks: [{ id: 'a', runner: 'noop' }] };
let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'runledger-run-'))));
afterAll(() => rmSync(folder, { recursive: true }));

const file = (content: unknown): string => {
  const path = join(folder, 'plan.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};

describe('what run asks for', () => {
  it('is a plan of one command that is run without a shell', () => {
    expect(requestFor(['/bin/echo', 'a b', '--c'], {})).toEqual({
      plan: { name: 'echo', tasks: [{ id: 'command', runner: 'command', input: { argv: ['/bin/echo', 'a b', '--c'] } }] },
    });
  });

  it('is the plan in a file, by itself or with what the API takes beside it', () => {
    expect(requestFor([], { plan: file(plan) })).toEqual({ plan });
    expect(requestFor([], { plan: file({ plan, name: 'x', input: { a: 1 } }) })).toEqual({ plan, name: 'x', input: { a: 1 } });
  });

  it('takes name and labels of the command line before those of the file', () => {
    const given = file({ plan, name: 'x', labels: { team: 'red', tier: '1' } });
    expect(requestFor([], { plan: given, name: 'y', label: { team: 'blue' } })).toEqual({ plan, name: 'y', labels: { team: 'blue', tier: '1' } });
  });

  it.each([
    ['both a plan and a command', ['ls'], { plan: 'x.json' }],
    ['neither', [], {}],
    ['a file that is not there', [], { plan: '/nowhere/plan.json' }],
  ])('refuses %s', (_, argv, options) => {
    expect(() => requestFor(argv, options)).toThrow(CliError);
  });

  it.each([['{"name":'], ['[]'], ['null']])('refuses a file that holds %s', (content) => {
    expect(() => requestFor([], { plan: file(content) })).toThrow(expect.objectContaining({ exit: 2 }) as Error);
  });
});
