import { once } from 'node:events';
import type { Readable } from 'node:stream';
import type { Child } from './launch.js';
import { Output } from './output.js';
import { MarkedFiles } from './marked-files.js';
import type { Attempt } from './runner.js';
import { StepMarkers } from './step-markers.js';

const STDERR_TAIL_BYTES = 2 * 1024;
/** Left to the sink even when the pipes took all of the time there was. */
const MIN_SINK_MS = 1_000;

/** What a command wrote, for its result. */
type OutputSummary = {
  /** Of both streams, also what was dropped. */
  readonly outputBytes: number;
  readonly truncated: boolean;
  /** Present when the sink lost some. */
  readonly outputLostChunks?: number;
};

/** Where a command's markers go. */
type Marking = {
  /** The real path of its working directory. */
  readonly directory: string;
  /** The command is to end, as a step has failed. */
  readonly stop: (step: string, error: string) => void;
};

export type Reading = {
  /** The last 2 KiB of standard error as text, invalid bytes replaced. */
  stderrTail(): string;
  /** Resolves when all is read and stored, or `withinMs` (and at most a second) later. */
  finish(withinMs: number): Promise<OutputSummary>;
};

/** Reads both pipes to their ends: into the sink, and what standard output marks to where that goes. */
export function readOutput(
  { stdout, stderr }: Child,
  attempt: Attempt,
  { maxBytes, marking }: { readonly maxBytes: number; readonly marking: Marking | undefined },
): Reading {
  const output = new Output(attempt, maxBytes, (paused) => {
    if (paused) attempt.heartbeat?.suspend();
    else attempt.heartbeat?.beat();
    for (const pipe of [stdout, stderr]) {
      if (paused) pipe.pause();
      else pipe.resume();
    }
  });
  const note = (text: string): void => output.write('stderr', Buffer.from(`[runledger] ${text}\n`));
  const refuse = (name: string, why: string): void => note(`artifact ${JSON.stringify(name)} not kept: ${why}`);
  const files = marking && new MarkedFiles(marking.directory, attempt.artifact, refuse);
  const steps =
    marking &&
    new StepMarkers({
      step: (report) => attempt.step(report),
      metadata: (key, value) => attempt.metadata?.(key, value),
      artifact: (file) => files?.keep(file),
      excess: (what) => note(`markers: only the first ${what} of an attempt count`),
      tooLong: (mostBytes) => note(`markers: a line of more than ${mostBytes} bytes is passed over; write each marker on a line of its own`),
      stop: marking.stop,
    });
  let tail = Buffer.alloc(0);
  // Before anything is cut: of a secret cut in two, neither part would be found.
  const endings = [
    passOn(stdout, attempt, (bytes) => {
      output.write('stdout', bytes);
      steps?.read(bytes);
    }),
    passOn(stderr, attempt, (bytes) => {
      output.write('stderr', bytes);
      tail = Buffer.concat([tail, bytes.subarray(-STDERR_TAIL_BYTES)]).subarray(-STDERR_TAIL_BYTES);
    }),
  ];
  const closed = Promise.allSettled([once(stdout, 'close'), once(stderr, 'close')]);

  return {
    stderrTail: () => tail.toString(),
    async finish(withinMs) {
      const startedAt = performance.now();
      await before(withinMs, closed);
      // Whoever still holds a pipe now is none of the attempt's processes.
      stdout.destroy();
      stderr.destroy();
      for (const end of endings) end();
      steps?.end();
      await files?.settled();
      await output.finish(Math.max(MIN_SINK_MS, withinMs - (performance.now() - startedAt)));
      return {
        outputBytes: output.bytes,
        truncated: output.truncated,
        ...(output.lostChunks > 0 && { outputLostChunks: output.lostChunks }),
      };
    },
  };
}

/** Hands on what a pipe brings, without secrets; returns what hands on the rest of it at its end. */
function passOn(pipe: Readable, { redaction, heartbeat }: Attempt, take: (bytes: Buffer) => void): () => void {
  if (heartbeat) pipe.on('data', () => heartbeat.beat());
  const secretless = redaction?.stream();
  if (!secretless) {
    pipe.on('data', take);
    return () => undefined;
  }
  const takeSome = (bytes: Buffer): void => {
    if (bytes.length > 0) take(bytes);
  };
  pipe.on('data', (bytes: Buffer) => takeSome(secretless.write(bytes)));
  return () => takeSome(secretless.end());
}

async function before(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([work, new Promise((resolve) => (timer = setTimeout(resolve, ms)))]);
  clearTimeout(timer);
}
