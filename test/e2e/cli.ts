import { spawn } from 'node:child_process';
import type { Platform } from './platform.js';

export type Ended = { readonly code: number | null; readonly out: string; readonly err: string };

export type Running = {
  readonly out: () => string;
  readonly err: () => string;
  signal(name: NodeJS.Signals): void;
  readonly ended: Promise<Ended>;
};

/** The built command line, pointed at a platform. */
export const cli = (
  platform: Pick<Platform, 'url' | 'natsUrl'> & Partial<Pick<Platform, 'home'>>,
  args: readonly string[],
  input = '',
  environment: Readonly<Record<string, string>> = {},
): Running => {
  const child = spawn(process.execPath, ['dist/apps/cli/src/main.js', ...args], {
    env: { ...process.env, RUNLEDGER_URL: platform.url, NATS_URL: platform.natsUrl, RUNLEDGER_TENANT: '', RUNLEDGER_HOME: platform.home ?? '', ...environment },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.on('error', () => undefined).end(input);
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  return {
    out: () => out,
    err: () => err,
    signal: (name) => child.kill(name),
    ended: new Promise((resolve) => child.once('close', (code) => resolve({ code, out, err }))),
  };
};

/** Waits for the end of it; with what it printed as JSON. Throws where that is none. */
export const json = async (running: Running): Promise<Ended & { readonly value: Record<string, unknown> }> => {
  const ended = await running.ended;
  return { ...ended, value: JSON.parse(ended.out || '{}') as Record<string, unknown> };
};

/** The same where each line is a value. */
export const jsonLines = async (running: Running): Promise<Ended & { readonly values: readonly Record<string, unknown>[] }> => {
  const ended = await running.ended;
  const lines = ended.out.split('\n').filter((line) => line !== '');
  return { ...ended, values: lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
};
