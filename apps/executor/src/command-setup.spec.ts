import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger, readSettings } from '#libs/platform';
import { type CommandSetup, commandSetup } from './command-setup.js';
import { commandUser, requirePassage } from './command-user.js';

const folder = mkdtempSync(join(tmpdir(), 'runledger-setup-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const warnings: string[] = [];
const logger = createLogger('executor', 'error');
logger.warn = ((message: string) => void warnings.push(message)) as typeof logger.warn;
beforeEach(() => void warnings.splice(0));

const setup = async (env: Readonly<Record<string, string>>, path = process.env['PATH']): Promise<CommandSetup> => {
  const before = process.env['PATH'];
  process.env['PATH'] = path;
  try {
    return await commandSetup(readSettings({ RUNLEDGER_HOME: folder, RUNLEDGER_ROOTS: '/srv', ...env }), logger);
  } finally {
    process.env['PATH'] = before;
  }
};

const policies = (text: string): string => {
  const file = join(folder, 'policies.json');
  writeFileSync(file, text);
  return file;
};

describe('the policy of a tenant', () => {
  it('is what the settings say', async () => {
    const { policyOf } = await setup({
      RUNLEDGER_SANDBOX: 'off',
      RUNLEDGER_COMMAND_PROGRAMS: 'git, /usr/bin/make',
      RUNLEDGER_COMMAND_NETWORK: 'requested',
      RUNLEDGER_COMMAND_READABLE: '/data',
      RUNLEDGER_COMMAND_CPU_SECONDS: '60',
      RUNLEDGER_COMMAND_TMP_BYTES: '0',
    });
    expect(policyOf('acme')).toEqual({
      roots: ['/srv'],
      readable: ['/data'],
      programs: ['git', '/usr/bin/make'],
      network: 'requested',
      limits: { cpuSeconds: 60, processes: 1_024, outputBytes: 8 * 2 ** 20 },
    });
  });

  it('is what a file says, where it says something', async () => {
    const RUNLEDGER_POLICIES = policies('{ "acme": { "roots": ["/acme"] }, "*": { "network": "always" } }');
    const { policyOf } = await setup({ RUNLEDGER_SANDBOX: 'off', RUNLEDGER_POLICIES });
    expect(policyOf('acme')).toMatchObject({ roots: ['/acme'], network: 'always', limits: { processes: 1_024 } });
    expect(policyOf('other')).toMatchObject({ roots: ['/srv'], network: 'always' });
  });

  it.each([
    ['{', /^RUNLEDGER_POLICIES=\S+ can't be read as JSON: /],
    ['[]', /can't be used: the document must be an object$/],
    ['{ "acme": { "roots": ["x"], "cpu": 1 } }', /can't be used: \/acme\/roots\/0 must be an absolute path; \/acme\/cpu unknown field; allowed: roots, /],
  ])('that is %s keeps the executor from starting', async (text, message) => {
    await expect(setup({ RUNLEDGER_POLICIES: policies(text) })).rejects.toMatchObject({
      code: 'SETTING_INVALID',
      message: expect.stringMatching(message),
    });
  });

  it('that is in no file keeps the executor from starting', async () => {
    await expect(setup({ RUNLEDGER_POLICIES: join(folder, 'none') })).rejects.toThrow(/ENOENT/);
  });
});

describe('where there is no bubblewrap', () => {
  it('an executor starts and says what is missing, and what that means', async () => {
    expect(await setup({}, folder)).not.toHaveProperty('sandbox');
    expect(warnings[0]).toBe(
      'no sandbox for commands: there is no bwrap on the PATH: install the package bubblewrap, 0.8 or later. Without it commands see and can ' +
        'reach what this executor can, the network included; limits of processes and of /tmp are not kept',
    );
  });

  it('one that requires it does not start', async () => {
    await expect(setup({ RUNLEDGER_SANDBOX: 'required' }, folder)).rejects.toMatchObject({
      code: 'SETTING_INVALID',
      message: expect.stringMatching(/^RUNLEDGER_SANDBOX=required, but there is no bubblewrap to use: there is no bwrap/),
    });
  });

  it('one that does not work is as none', async () => {
    writeFileSync(join(folder, 'bwrap'), '#!/bin/sh\necho "bwrap: No permissions to create a new namespace" >&2\nexit 1\n', { mode: 0o755 });
    await setup({}, folder);
    expect(warnings[0]).toContain(`${folder}/bwrap does not work here: bwrap: No permissions to create a new namespace`);
  });

  it('that nobody wants it is said too', async () => {
    expect(await setup({ RUNLEDGER_SANDBOX: 'off' })).not.toHaveProperty('sandbox');
    expect(warnings[0]).toMatch(/^RUNLEDGER_SANDBOX=off: commands see/);
  });
});

describe('the user of commands', () => {
  const { getuid } = process;
  afterEach(() => void (process.getuid = getuid!));
  const as = (uid: number): void => void (process.getuid = () => uid);

  it('is found by name and by number, where this process may become it', async () => {
    as(0);
    expect(await commandUser('nobody')).toEqual({ uid: 65_534, gid: 65_534 });
    expect(await commandUser('65534')).toEqual({ uid: 65_534, gid: 65_534 });
    expect(await commandUser('4242')).toEqual({ uid: 4_242, gid: 4_242 });
    expect(await commandUser('1000:100')).toEqual({ uid: 1_000, gid: 100 });
  });

  it.each([
    ['no-such-user', 0, /neither a user of this machine nor uid:gid$/],
    ['root', 0, /is root: name a user without privileges$/],
    ['0:1000', 0, /is root/],
    ['nobody', 1_000, /takes an executor that runs as root/],
  ])('is not %s of an executor that runs as %i', async (user, uid, message) => {
    as(uid);
    await expect(commandUser(user)).rejects.toMatchObject({ code: 'SETTING_INVALID', message: expect.stringMatching(message) });
  });

  it('has to get to where it works', async () => {
    const user = { uid: 4_242, gid: 4_242 };
    const home = join(folder, 'closed', 'home');
    mkdirSync(home, { recursive: true });
    chmodSync(folder, 0o711);
    await requirePassage(user, join(home, 'work'));
    chmodSync(join(folder, 'closed'), 0o700);
    await expect(requirePassage(user, join(home, 'work'))).rejects.toThrow(`may not pass through ${folder}/closed`);
  });

  it('need not be changed to where it is the executor’s own', async () => {
    as(65_534);
    const { getgid } = process;
    process.getgid = () => 65_534;
    expect(await commandUser('nobody')).toBeUndefined();
    process.getgid = getgid!;
  });
});
