import type { Attempt } from './runner.js';

/** All a command gets to see of its executor's environment. */
const INHERITED = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR'] as const;

/** Tells an attempt's processes from all others, also from an earlier attempt's. */
export const runMarker = (incarnation: string, { ref, taskId, attempt }: Attempt): string =>
  `${incarnation}/${ref.execution}/${taskId}/${attempt}`;

/** A command's whole environment. What the plan sets wins over what is inherited, never over RUNLEDGER_*. */
export function commandEnvironment(
  incarnation: string,
  attempt: Attempt,
  fromPlan: Readonly<Record<string, string>>,
  places: {
    /** The first allowed root. */
    readonly root?: string | undefined;
    /** In place of what is inherited. */
    readonly home?: string | undefined;
    readonly tmp?: string | undefined;
  } = {},
): Record<string, string> {
  const inherited = INHERITED.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    ...Object.fromEntries(inherited),
    ...(places.home !== undefined && { HOME: places.home }),
    ...(places.tmp !== undefined && { TMPDIR: places.tmp }),
    ...fromPlan,
    // So that a plan can name what lies in the first root without knowing the machine.
    ...(places.root !== undefined && { RUNLEDGER_ROOT: places.root }),
    RUNLEDGER_EXECUTION: attempt.ref.execution,
    RUNLEDGER_TASK: attempt.taskId,
    RUNLEDGER_ATTEMPT: String(attempt.attempt),
    RUNLEDGER_IDEMPOTENCY_KEY: attempt.idempotencyKey,
    RUNLEDGER_EXECUTOR: incarnation,
    RUNLEDGER_RUN: runMarker(incarnation, attempt),
  };
}
