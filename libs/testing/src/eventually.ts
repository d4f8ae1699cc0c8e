import { inspect } from 'node:util';

const INTERVAL_MS = 10;

type EventuallyOptions = {
  /** Default 5000. */
  readonly timeoutMs?: number;
  /** What is waited for, as the end of the sentence "waited … for". */
  readonly what: string;
};

/**
 * Asks every 10 ms until `check` answers something truthy, and returns that. What it throws counts as "not yet".
 * Rejects after `timeoutMs`, also while a check hangs, with what was waited for and what the last check said.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  { timeoutMs = 5_000, what }: EventuallyOptions,
): Promise<Exclude<T, undefined | null | false | 0 | ''>> {
  const deadline = Date.now() + timeoutMs;
  let last = 'the check never came back';
  for (;;) {
    const answer = await before(deadline, async () => {
      try {
        const value = await check();
        last = `the last check answered ${inspect(value, { depth: 4, breakLength: Infinity })}`;
        return value;
      } catch (error) {
        last = `the last check threw ${error instanceof Error ? error.message : inspect(error)}`;
        return undefined;
      }
    });
    if (answer) return answer as Exclude<T, undefined | null | false | 0 | ''>;
    if (Date.now() >= deadline) throw new Error(`waited ${timeoutMs} ms in vain for ${what}: ${last}`);
    await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
  }
}

async function before<T>(deadline: number, work: () => Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), Math.max(0, deadline - Date.now()));
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}
