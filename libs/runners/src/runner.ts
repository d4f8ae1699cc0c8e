import type { FileHandle } from 'node:fs/promises';
import type { ExecutionRef, Failure, JsonObject } from '#libs/contracts';
import type { Redaction } from '#libs/secrets';

/** A fault in a runner's input; path is a JSON pointer below the input, such as `/argv/0`. */
export type InputProblem = { readonly path: string; readonly message: string };

/** How an attempt ended. `error.retryable` says whether another attempt may help. */
export type Outcome =
  | { readonly ok: true; readonly result: JsonObject }
  | {
      readonly ok: false;
      readonly error: Failure;
      readonly result?: JsonObject;
      /** Milliseconds that the other side wants to be left alone. */
      readonly retryAfterMs?: number;
    };

/** Progress inside a task. A started step closes the open one as completed. */
export type StepReport =
  | { readonly kind: 'started'; readonly name: string; readonly metadata: Readonly<Record<string, string>> }
  | { readonly kind: 'completed' }
  | { readonly kind: 'failed'; readonly error: string };

/** A file that a command has named as an artifact, open for reading: whatever its path has come to mean since. */
export type MarkedFile = {
  /** As the command named it, below its working directory. */
  readonly name: string;
  readonly description: string;
  /** Which of the attempt's started steps was open when it was named: 1 for the first; undefined where none was. */
  readonly step?: number | undefined;
  readonly bytes: number;
  readonly handle: FileHandle;
};

/** Why a file was not kept, and whether another attempt may help. */
export type NotKept = { readonly why: string; readonly retryable: boolean };

/** Keeps a file until it has read it, and leaves it open. Resolves with why it was not kept, undefined where it was. */
export type ArtifactSink = (file: MarkedFile) => Promise<NotKept | undefined>;

export type OutputStream = 'stdout' | 'stderr';

/** A piece of output as it was read; bytes are never decoded. Headers of the message it becomes: see OutputChunk in commands.proto. */
export type OutputChunk = {
  readonly attempt: number;
  readonly stream: OutputStream;
  /** 1, 2, 3 … over both streams of an attempt, in the order read. */
  readonly chunk: number;
  readonly time: string;
  readonly truncated: boolean;
  /** Behind it no line of the other stream is without its end. */
  readonly otherEnded: boolean;
  readonly bytes: Uint8Array;
};

/** Where output goes. Resolves once stored; rejects when it can't be, which never fails the task. */
type OutputSink = (chunk: OutputChunk) => Promise<void>;

/** Where signs of life go: without any for as long as the plan allows, the attempt is ended. */
export type Heartbeat = {
  beat(): void;
  /** Until the next beat nobody can tell: what would show life is not being read. */
  suspend(): void;
};

/** How far an attempt has come: of `total` what is done, and what failed beside that. */
export type Progress = {
  readonly done: number;
  readonly failed: number;
  readonly total: number;
  /** What another attempt is to go on from. */
  readonly resume: JsonObject;
};

/** For attempts that do a lot of one thing after the other. */
export type Course = {
  /** The last that an attempt of the task has told. */
  readonly last: Progress | undefined;
  /** Resolves once that is stored, or the attempt has to end. */
  tell(progress: Progress): Promise<void>;
  /** Resolves once the execution is not paused, or the attempt has to end. */
  mayGoOn(): Promise<void>;
};

/** One attempt of one task, as a runner sees it. */
export type Attempt = {
  readonly ref: ExecutionRef;
  readonly taskId: string;
  readonly attempt: number;
  /** The task's own input, checked by the runner's `check` when the plan was accepted; secrets in their places. */
  readonly input: JsonObject;
  /** The execution's input. */
  readonly executionInput: JsonObject;
  /** `<execution>/<task>`: the same at every attempt, for services that deduplicate. */
  readonly idempotencyKey: string;
  /** Aborted when the attempt has to end now (cancelled, timed out, executor stopping). */
  readonly signal: AbortSignal;
  readonly output: OutputSink;
  /**
   * Where the input holds secrets: bytes that come from outside pass through it before they are cut, looked into or handed on. Texts of
   * steps, results and errors are taken care of.
   */
  readonly redaction?: Redaction;
  readonly step: (report: StepReport) => void;
  /** What the attempt has to say of its execution; the last value of a key counts. Kept within bounds that the core has. */
  readonly metadata?: (key: string, value: string) => void;
  /** Where files are kept as artifacts; absent where nowhere. */
  readonly artifact?: ArtifactSink;
  readonly course?: Course;
  /** Patterns of files that are to be kept so when the attempt has ended; see filesMatching. */
  readonly artifactPatterns?: readonly string[];
  /** Where the plan asks for signs of life. Steps are some without the runner's doing. */
  readonly heartbeat?: Heartbeat;
};

/** What a task can be. */
export type Runner = {
  readonly name: string;
  /**
   * False where running twice and not running at all can't be told apart from outside: such an attempt may run before
   * its start is committed, so that start and end share one commit.
   */
  readonly sideEffects: boolean;
  /** Faults in a task's input; none when it can be run. Pure. */
  check(input: JsonObject): readonly InputProblem[];
  /** Runs to the end, also of everything it started. Throws only on a bug: failures are outcomes. */
  run(attempt: Attempt): Outcome | Promise<Outcome>;
};
