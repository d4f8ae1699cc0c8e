import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findNatsServer } from './nats-binary.js';

describe('the nats-server that up starts', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'runledger-binaries-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const fake = async (name: string, says: string): Promise<string> => {
    await mkdir(join(folder, name));
    const file = join(folder, name, 'nats-server');
    await writeFile(file, `#!/bin/sh\n${says}\n`);
    await chmod(file, 0o755);
    return file;
  };

  it('is the one on the PATH when that is 2.14 or later', async () => {
    const file = await fake('path', 'echo "nats-server: v2.15.1"');
    const packaged = await fake('npm', 'echo "nats-server: v2.14.0"');
    const path = `${join(folder, 'nowhere')}::${join(folder, 'path')}`;
    await expect(findNatsServer({ path, platform: 'linux', packaged })).resolves.toEqual({ file, version: '2.15.1' });
  });

  it('is the one from npm when the one on the PATH is too old', async () => {
    await fake('path', 'echo "nats-server: v2.9.25"');
    const packaged = await fake('npm', 'echo "nats-server: v2.14.0"');
    const found = findNatsServer({ path: join(folder, 'path'), platform: 'linux', packaged });
    await expect(found).resolves.toEqual({ file: packaged, version: '2.14.0' });
  });

  it('takes a later major version for later', async () => {
    const file = await fake('path', 'echo "nats-server: v3.0.0"');
    const found = findNatsServer({ path: join(folder, 'path'), platform: 'linux', packaged: undefined });
    await expect(found).resolves.toEqual({ file, version: '3.0.0' });
  });

  it.each([
    ['linux', 'npm ci'],
    ['darwin', 'brew install nats-server'],
    ['win32', 'scoop install nats-server'],
  ])('is missing on %s with advice to use %s', async (platform, advice) => {
    const found = findNatsServer({ path: folder, platform, packaged: undefined });
    await expect(found).rejects.toMatchObject({
      code: 'NATS_SERVER_NOT_FOUND',
      message: expect.stringMatching(new RegExp(`no nats-server 2.14 or later(.|\\n)*${advice}(.|\\n)*NATS_URL`)),
    });
  });

  it('is refused with what was found: one that is too old, one that does not run', async () => {
    const old = await fake('path', 'echo "nats-server: v2.9.25"');
    const broken = await fake('npm', 'exit 1');
    const found = findNatsServer({ path: join(folder, 'path'), platform: 'linux', packaged: broken });
    await expect(found).rejects.toThrow(`${old} is 2.9.25; ${broken} does not run`);
  });
});
