import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const repository = fileURLToPath(new URL('../..', import.meta.url));

const leftOut = new Set(['.git', '.runledger', 'coverage', 'dist', 'node_modules']);

/** A copy of the repository in a temporary folder, sharing its node_modules, in which a test plants a fault. */
export class WorkingCopy {
  readonly root = mkdtempSync(join(tmpdir(), 'runledger-copy-'));

  constructor({ installed = true } = {}) {
    for (const entry of readdirSync(repository)) {
      if (!leftOut.has(entry)) cpSync(join(repository, entry), join(this.root, entry), { recursive: true });
    }
    if (installed) symlinkSync(join(repository, 'node_modules'), join(this.root, 'node_modules'));
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.root, path)), { recursive: true });
    writeFileSync(join(this.root, path), text);
  }

  /** Runs a command of the project's own tools to its end; `output` is what it said on both streams. */
  run(command: string, ...args: string[]): { status: number | null; stdout: string; output: string } {
    const { status, stdout, stderr } = spawnSync(command, args, {
      cwd: this.root,
      encoding: 'utf8',
      maxBuffer: 64 << 20,
    });
    return { status, stdout, output: stdout + stderr };
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}
