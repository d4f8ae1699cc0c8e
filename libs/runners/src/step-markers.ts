import type { Named } from './marked-files.js';
import type { Attempt, StepReport } from './runner.js';

const MAX_STEPS = 1_000;
/** Of one attempt. */
const MAX_ARTIFACTS = 100;
const MAX_ENTRIES = 1_000;
/** Lines with markers that are looked into. */
const MAX_LINES = 10_000;
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
  ['artifact', /ARTIFACT:(\S.*)/i],
  ['metadata', /META:([A-Za-z][\w.-]{0,63}:.*)/i],
] as const;
/** Quicker than to look for each of them in every line. */
const anyMarker = /STEP_START:|STEP_COMPLETE:|STEP_ERROR:|ARTIFACT:|META:/i;

const nextMarker = new RegExp(anyMarker, 'gi');

/** Where the next line with a marker begins, or the last line, the end of which is yet to come. `from`: behind the end of a line. */
const nextLine = (text: string, from: number): number => {
  nextMarker.lastIndex = from;
  const at = nextMarker.exec(text)?.index ?? text.length;
  return text.lastIndexOf('\n', at - 1) + 1;
};

type Kind = (typeof markers)[number][0];

function markerIn(line: string): readonly [kind: Kind | undefined, rest: string] {
  if (!anyMarker.test(line)) return [undefined, ''];
  for (const [kind, pattern] of markers) {
    const rest = pattern.exec(line)?.[1];
    if (rest !== undefined) return [kind, rest];
  }
  return [undefined, ''];
}

export type Markers = Required<Pick<Attempt, 'step' | 'metadata'>> & {
  /** A file by its path as it was written. */
  readonly artifact: (file: Named) => void;
  /** Only the first so many of these count: told once of each, when there are more. */
  readonly excess: (what: string) => void;
  /** A line with a marker is longer than so many bytes, and was not looked into: told once. */
  readonly tooLong: (mostBytes: number) => void;
  /** A step that was to stop the command where it fails has failed. */
  readonly stop: (name: string, error: string) => void;
};

const truths: readonly string[] = ['true', '1', 'yes', 'on'];

/** What is before the first colon, and what is behind it. */
const parted = (text: string): readonly [string, string] => {
  const at = text.indexOf(':');
  return at < 0 ? [text.trim(), ''] : [text.slice(0, at).trim(), text.slice(at + 1).trim()];
};

/**
 * Finds `STEP_START:name k=v`, `STEP_COMPLETE:name`, `STEP_ERROR:description`, `ARTIFACT:path:description` and `META:key:value` in what a command
 * writes, anywhere in a line, in any case. At most 1,000 steps, 100 artifacts and 1,000 values are told, of 10,000 lines that have any; lines longer than
 * 8 KiB are passed over; that a marker was in the beginning of one is told.
 * Memory stays below one such line, time is linear in what is read.
 */
export class StepMarkers {
  readonly #told: Markers;
  #line: Uint8Array[] = [];
  #lineBytes = 0;
  #lines = 0;
  #started = 0;
  #artifacts = 0;
  #entries = 0;
  readonly #exceeded = new Set<string>();
  #hasPassedOver = false;
  #open: { readonly name: string; readonly stopsOnError: boolean } | undefined;

  constructor(told: Markers) {
    this.#told = told;
  }

  read(bytes: Uint8Array): void {
    // A character for each byte, once: markers are ASCII.
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
    let from = 0;
    while (this.#lines < MAX_LINES) {
      const end = bytes.indexOf(NEWLINE, from);
      this.#append(bytes.subarray(from, end < 0 ? undefined : end));
      if (end < 0) return;
      this.end();
      from = nextLine(text, end + 1);
    }
  }

  /** The line is complete, be it that no more follows. */
  end(): void {
    if (this.#lineBytes > 0 && this.#lineBytes <= MAX_LINE_BYTES) this.#parse(Buffer.concat(this.#line).toString());
    this.#line = [];
    this.#lineBytes = 0;
  }

  #append(bytes: Uint8Array): void {
    const before = this.#lineBytes;
    this.#lineBytes += bytes.length;
    if (this.#lineBytes <= MAX_LINE_BYTES) return void this.#line.push(bytes);
    if (before <= MAX_LINE_BYTES) this.#passOver(Buffer.concat([...this.#line, bytes.subarray(0, MAX_LINE_BYTES - before)]));
    this.#line = [];
  }

  #passOver(beginning: Buffer): void {
    if (this.#hasPassedOver || !anyMarker.test(beginning.toString('latin1'))) return;
    this.#hasPassedOver = true;
    this.#told.tooLong(MAX_LINE_BYTES);
  }

  #parse(line: string): void {
    const [kind, rest] = markerIn(line);
    if (kind !== undefined && ++this.#lines === MAX_LINES) this.#exceed(`${MAX_LINES} lines with markers`);
    switch (kind) {
      case 'start':
        return this.#start(rest.trim().split(/\s+/));
      case 'complete':
        return this.#close({ kind: 'completed' });
      case 'error':
        return this.#fail(rest.trim().slice(0, MAX_TEXT) || 'no description given');
      case 'artifact':
        return this.#artifact(parted(rest));
      case 'metadata':
        return this.#metadata(parted(rest));
      case undefined:
        return;
    }
  }

  #start(words: readonly string[]): void {
    const first = words.findIndex((word) => metadataWord.test(word));
    const name = words.slice(0, first < 0 ? undefined : first).join(' ');
    if (!name) return;
    if (this.#started >= MAX_STEPS) {
      this.#exceed(`${MAX_STEPS} steps`);
      return this.#close({ kind: 'completed' });
    }
    const metadata = (first < 0 ? [] : words.slice(first)).flatMap((word) => {
      const [, key, value, braced, bracedValue] = metadataWord.exec(word) ?? [];
      const name = key ?? braced;
      return name === undefined ? [] : [[name, (value ?? bracedValue ?? '').slice(0, MAX_TEXT)] as const];
    });
    this.#started += 1;
    this.#open = { name: name.slice(0, MAX_TEXT), stopsOnError: metadata.some(([key, value]) => key === 'stop_on_error' && truths.includes(value.toLowerCase())) };
    this.#told.step({
      kind: 'started',
      name: name.slice(0, MAX_TEXT),
      metadata: Object.fromEntries(metadata.slice(0, MAX_METADATA)),
    });
  }

  #close(report: StepReport): void {
    if (!this.#open) return;
    this.#open = undefined;
    this.#told.step(report);
  }

  #fail(error: string): void {
    const failed = this.#open;
    this.#close({ kind: 'failed', error });
    if (failed?.stopsOnError) this.#told.stop(failed.name, error);
  }

  #artifact([path, description]: readonly [string, string]): void {
    if (path === '') return;
    if (++this.#artifacts > MAX_ARTIFACTS) return this.#exceed(`${MAX_ARTIFACTS} artifacts`);
    this.#told.artifact({ name: path, description: description.slice(0, MAX_TEXT), step: this.#open && this.#started });
  }

  #metadata([key, value]: readonly [string, string]): void {
    if (++this.#entries > MAX_ENTRIES) return this.#exceed(`${MAX_ENTRIES} values of metadata`);
    this.#told.metadata(key, value.slice(0, MAX_TEXT));
  }

  #exceed(what: string): void {
    if (this.#exceeded.has(what)) return;
    this.#exceeded.add(what);
    this.#told.excess(what);
  }
}
