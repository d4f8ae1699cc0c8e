import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Platform } from './platform.js';

const program = fileURLToPath(new URL('../../dist/apps/cli/src/main.js', import.meta.url));

/** What a command of `runledger` says as JSON, and how it ended. */
export const runledger = async (platform: Platform, ...args: readonly string[]): Promise<{ readonly code: number | null; readonly said: Readonly<Record<string, unknown>> }> => {
  const env = { ...process.env, ...platform.environment('operator'), RUNLEDGER_URL: platform.urls[0], RUNLEDGER_CHAOS: platform.folder };
  const child = spawn(process.execPath, [program, ...args, '--json'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, said: out.trim() === '' ? { error: err.trim() } : (JSON.parse(out) as Record<string, unknown>) };
};
