import { closeSync, fstatSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';

const ROTATE_BYTES = 50 * 1024 * 1024;
const TAIL_BYTES = 64 * 1024;
const LONGEST_LINE = 64 * 1024;

/** What one process writes: all of it in a file, rotated once at 50 MiB, and line by line to whoever watches. */
export class ProcessLog {
  private fd: number;
  private size: number;
  private closed = false;
  private readonly partial = { stdout: '', stderr: '' };

  constructor(
    readonly file: string,
    private readonly onLine: (line: string, stream: 'stdout' | 'stderr') => void,
    private readonly rotateBytes = ROTATE_BYTES,
  ) {
    this.fd = openSync(file, 'a', 0o600);
    this.size = fstatSync(this.fd).size;
  }

  /** A full disk loses log lines, never the supervisor. */
  write(text: string, stream: 'stdout' | 'stderr'): void {
    if (this.closed) return;
    try {
      if (this.size >= this.rotateBytes) this.rotate();
      this.size += writeSync(this.fd, text);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
    const lines = (this.partial[stream] + text).split('\n');
    this.partial[stream] = (lines.pop() ?? '').slice(-LONGEST_LINE);
    for (const line of lines) if (line.trim() !== '') this.onLine(line, stream);
  }

  tail(lines: number): string {
    const text = readFileSync(this.file).subarray(-TAIL_BYTES).toString('utf8').trimEnd();
    return text.split('\n').slice(-lines).join('\n');
  }

  close(): void {
    this.closed = true;
    closeSync(this.fd);
  }

  private rotate(): void {
    renameSync(this.file, `${this.file}.1`);
    closeSync(this.fd);
    this.fd = openSync(this.file, 'a', 0o600);
    this.size = 0;
  }
}

/** What of a log line people should see at once: warnings and worse, in few words. Undefined: nothing. */
export function worthShowing(line: string, stream: 'stdout' | 'stderr'): string | undefined {
  const nats = /^\[\d+\] \S+ \S+ \[(\w+)\] (.*)$/.exec(line);
  if (nats !== null) return ['WRN', 'ERR', 'FTL'].includes(nats[1] ?? '') ? nats[2] : undefined;
  const entry = line.startsWith('{') ? parsed(line) : undefined;
  if (entry !== undefined) {
    if (typeof entry['level'] !== 'number' || entry['level'] < 40) return undefined;
    const cause = (entry['err'] as { message?: unknown } | undefined)?.message;
    const message = typeof entry['msg'] === 'string' ? entry['msg'] : line;
    return typeof cause === 'string' && cause !== message ? `${message}: ${cause}` : message;
  }
  // Node's own warnings are for whoever works on the app.
  if (/^\((node:\d+\)|Use `node --trace)/.test(line)) return undefined;
  return stream === 'stderr' ? line : undefined;
}

function parsed(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
