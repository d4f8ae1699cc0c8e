import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventTypes } from '#libs/contracts';
import { WorkingCopy } from './working-copy.js';

const events = 'proto/runledger/v1/events.proto';

type Image = {
  file: { name: string; package: string; messageType?: { name: string; field?: { typeName?: string }[] }[] }[];
};

describe('the contract', () => {
  let copy: WorkingCopy;
  beforeEach(() => {
    copy = new WorkingCopy();
  });
  afterEach(() => copy.remove());

  const edit = (path: string, from: string, to: string): void => {
    const text = readFileSync(join(copy.root, path), 'utf8');
    expect(text).toContain(from);
    copy.write(path, text.replace(from, to));
  };
  const compare = () => copy.run('node_modules/.bin/buf', 'breaking', '--against', 'proto/baseline.json');

  test('is compatible with its baseline', () => {
    expect(compare()).toMatchObject({ status: 0 });
  });

  test.each([
    ['a removed field', 'uint64 timeout_ms = 3;', '', 'Previously present field "3"'],
    ['a renumbered field', 'string executor = 3;', 'string executor = 9;', 'Previously present field "3"'],
    ['a renamed field', 'string executor = 3;', 'string runner = 3;', 'changed name from "executor" to "runner"'],
    ['a changed type', 'bool retryable = 3;', 'string retryable = 3;', 'changed type from "bool" to "string"'],
    ['a renamed event', 'message TaskSkipped', 'message TaskOmitted', 'Previously present message "TaskSkipped"'],
  ])('refuses %s', (_what, from, to, complaint) => {
    edit(events, from, to);
    const { status, output } = compare();
    expect(status).not.toBe(0);
    expect(output).toContain(complaint);
  });

  test('takes a new field', () => {
    edit(events, 'uint64 timeout_ms = 3;', 'uint64 timeout_ms = 3; string planted = 100;');
    expect(compare()).toMatchObject({ status: 0 });
  });

  test('takes a deliberate break with contract:accept, which names what it breaks', () => {
    edit(events, 'uint64 timeout_ms = 3;', '');
    const { status, output } = copy.run('npm', 'run', '--silent', 'contract:accept');
    expect(status).toBe(0);
    expect(output).toContain('Previously present field "3"');
    expect(compare()).toMatchObject({ status: 0 });
  });

  test('lists as event types exactly the messages of events.proto that no other message is made of', () => {
    const { stdout } = copy.run('node_modules/.bin/buf', 'build', '--exclude-source-info', '-o', '-#format=json');
    const { file } = JSON.parse(stdout) as Image;
    const fields = file.flatMap(({ messageType = [] }) => messageType.flatMap(({ field = [] }) => field));
    const used = new Set(fields.map(({ typeName }) => typeName));
    const source = file.find(({ name }) => `proto/${name}` === events);
    const messages = source?.messageType?.filter(({ name }) => !used.has(`.${source.package}.${name}`)) ?? [];
    expect([...eventTypes].sort()).toEqual(messages.map(({ name }) => name).sort());
  });
});
