import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { transpile } from '#libs/testing';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inherited-'));
  await transpile(fileURLToPath(new URL('.', import.meta.url)), folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What a command of a process finds open that was started with a file open as number 40. */
async function openInCommand(preparation: string): Promise<readonly string[]> {
  const file = await open(join(folder, 'left-open'), 'w');
  const program = `
    import { spawnSync } from 'node:child_process';
    import { closeInheritedFiles } from '${join(folder, 'inherited-files.js')}';
    ${preparation}
    console.log(spawnSync('ls', ['/proc/self/fd']).stdout.toString());`;
  const stdio = ['ignore', 'pipe', 'inherit', ...Array.from({ length: 37 }, () => 'ignore' as const), file.fd] as const;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: [...stdio] });
  const [output] = await Promise.all([text(child.stdout!), once(child, 'exit')]);
  await file.close();
  return output.trim().split('\n');
}

(process.platform === 'linux' ? it : it.skip)('a file left open in an executor is none of its commands’', async () => {
  expect(await openInCommand('')).toContain('40');
  // The last is the folder that ls reads.
  expect(await openInCommand('closeInheritedFiles()')).toEqual(['0', '1', '2', '3']);
});
