import type { StepReport } from './runner.js';

const MAX_STEPS = 1_000;
const MAX_LINE_BYTES = 8 * 1024;
const MAX_TEXT = 512;
const MAX_METADATA = 32;
const NEWLINE = 10;

/** `k=v`, `--k=v` or `{k:v}`; a name starts with a letter, so that it can't be `__proto__`. */
const metadataWord = /^(?:(?:--)?([A-Za-z][\w.-]{0,63})=(.*)|\{([A-Za-z][\w.-]{0,63}):(.*)\})$/;

/** Of several in a line the first of this list counts. */
const markers = [
  ['start', /STEP_START:(.*)/i],
  ['complete', /STEP_COMPLETE:(.*)/i],
  ['error', /STEP_ERROR:(.*)/i],
] as const;

function markerIn(line: string): readonly [kind: 'start' | 'complete' | 'error' | undefined, rest: string] {
  for (const [kind, pattern] of markers) {
    const rest = pattern.exec(line)?.[1];
    if (rest !== undefined) return [kind, rest];
  }
  return [undefined, ''];
}

/**
 * Finds `STEP_START:name k=v`, `STEP_COMPLETE:name` and `STEP_ERROR:description` in what a command writes, anywhere in
 * a line, in any case. At most 1,000 steps are reported; lines longer than 8 KiB are passed over. Memory stays below
 * one such line, time is linear in what is read.
 */
export class StepMarkers {
  readonly #report: (report: StepReport) => void;
  #line: Uint8Array[] = [];
  #lineBytes = 0;
  #started = 0;
  #open = false;

  constructor(report: (report: StepReport) => void) {
    this.#report = report;
  }

  read(bytes: Uint8Array): void {
    let from = 0;
    while (this.#open || this.#started < MAX_STEPS) {
      const end = bytes.indexOf(NEWLINE, from);
      this.#append(bytes.subarray(from, end < 0 ? undefined : end));
      if (end < 0) return;
      this.end();
      from = end + 1;
    }
  }

  /** The line is complete, be it that no more follows. */
  end(): void {
    if (this.#lineBytes > 0 && this.#lineBytes <= MAX_LINE_BYTES) this.#parse(Buffer.concat(this.#line).toString());
    this.#line = [];
    this.#lineBytes = 0;
  }

  #append(bytes: Uint8Array): void {
    this.#lineBytes += bytes.length;
    if (this.#lineBytes <= MAX_LINE_BYTES) this.#line.push(bytes);
    else this.#line = [];
  }

  #parse(line: string): void {
    const [kind, rest] = markerIn(line);
    switch (kind) {
      case 'start':
        return this.#start(rest.trim().split(/\s+/));
      case 'complete':
        return this.#close({ kind: 'completed' });
      case 'error':
        return this.#close({ kind: 'failed', error: rest.trim().slice(0, MAX_TEXT) || 'no description given' });
      case undefined:
        return;
    }
  }

  #start(words: readonly string[]): void {
    const first = words.findIndex((word) => metadataWord.test(word));
    const name = words.slice(0, first < 0 ? undefined : first).join(' ');
    if (!name) return;
    if (this.#started >= MAX_STEPS) return this.#close({ kind: 'completed' });
    const metadata = (first < 0 ? [] : words.slice(first)).flatMap((word) => {
      const [, key, value, braced, bracedValue] = metadataWord.exec(word) ?? [];
      const name = key ?? braced;
      return name === undefined ? [] : [[name, (value ?? bracedValue ?? '').slice(0, MAX_TEXT)] as const];
    });
    this.#started += 1;
    this.#open = true;
    this.#report({
      kind: 'started',
      name: name.slice(0, MAX_TEXT),
      metadata: Object.fromEntries(metadata.slice(0, MAX_METADATA)),
    });
  }

  #close(report: StepReport): void {
    if (!this.#open) return;
    this.#open = false;
    this.#report(report);
  }
}
