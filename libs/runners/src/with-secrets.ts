import type { JsonObject } from '#libs/contracts';
import { MAX_ATTEMPT_BYTES, Redaction, SecretError, resolveReferences, secretNames } from '#libs/secrets';
import { failed } from './failed.js';
import type { Attempt, Outcome, Runner, StepReport } from './runner.js';

/**
 * The values of secrets of one tenant by name, all of them. Rejects with SecretError, or with what says by `code`, `message` and
 * `retryable` why they can't be had now.
 */
export type SecretSource = (tenant: string, names: readonly string[]) => Promise<ReadonlyMap<string, string>>;

type Refusal = { readonly code: string; readonly message: string; readonly retryable: boolean };

const isRefusal = (error: unknown): error is Refusal =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' && 'retryable' in error && typeof error.retryable === 'boolean';

/**
 * The runner, for inputs that refer to secrets: their values are fetched when an attempt starts, and nothing of them is in what the
 * attempt reports. An attempt without secrets is the runner's own, untouched.
 */
export function withSecrets(runner: Runner, source: SecretSource): Runner {
  return {
    ...runner,
    async run(attempt) {
      const names = secretNames(attempt.input);
      // First, as the text that stands for a reference would pass also where none may stand. The runner refuses it itself.
      if (names.length === 0 || runner.check(attempt.input).length > 0) return await runner.run(attempt);
      let secrets: ReadonlyMap<string, string>;
      try {
        secrets = await unlessAborted(source(attempt.ref.tenant, names), attempt.signal);
        requireRoom(secrets);
      } catch (error) {
        if (isRefusal(error)) return failed(error.code, error.message, error.retryable);
        throw error;
      }
      return await redacted(runner, attempt, secrets);
    },
  };
}

async function redacted(runner: Runner, attempt: Attempt, secrets: ReadonlyMap<string, string>): Promise<Outcome> {
  const redaction = new Redaction(secrets.values());
  try {
    const outcome = await runner.run({
      ...attempt,
      input: resolveReferences(attempt.input, secrets) as JsonObject,
      redaction,
      step: (report) => attempt.step(stepWithout(redaction, report)),
      ...(attempt.metadata && { metadata: (key, value) => attempt.metadata?.(redaction.text(key), redaction.text(value)) }),
      ...(attempt.artifact && { artifact: (file) => attempt.artifact?.({ ...file, description: redaction.text(file.description) }) ?? Promise.resolve(undefined) }),
    });
    return outcomeWithout(redaction, outcome);
  } catch (error) {
    // Without its stack and its cause, which may quote as well.
    throw new Error(redaction.text(String(error)));
  }
}

function stepWithout(redaction: Redaction, report: StepReport): StepReport {
  switch (report.kind) {
    case 'started':
      return { ...report, name: redaction.text(report.name), metadata: redaction.texts(report.metadata) };
    case 'completed':
      return report;
    case 'failed':
      return { ...report, error: redaction.text(report.error) };
  }
}

function outcomeWithout(redaction: Redaction, outcome: Outcome): Outcome {
  const result = outcome.result && redaction.texts(outcome.result);
  if (outcome.ok) return { ...outcome, ...(result && { result }) };
  return { ...outcome, error: { ...outcome.error, message: redaction.text(outcome.error.message) }, ...(result && { result }) };
}

function requireRoom(secrets: ReadonlyMap<string, string>): void {
  const bytes = [...secrets.values()].reduce((sum, value) => sum + Buffer.byteLength(value), 0);
  if (bytes <= MAX_ATTEMPT_BYTES) return;
  throw new SecretError('SECRETS_TOO_LARGE', `this task's secrets have ${bytes} bytes; at most ${MAX_ATTEMPT_BYTES} are allowed`);
}

/** The broker may take its time to answer; who stops an attempt need not wait for that. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    const refusal = Object.assign(new Error('stopped on request, before its secrets were there'), { code: 'SECRETS_ABORTED', retryable: false });
    stop = () => reject(refusal);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
