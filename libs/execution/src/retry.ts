import type { PlanTask } from '#libs/contracts';

/** Attempts in all that the plan allows. */
export const maxAttempts = (task: PlanTask): number => task.retry?.maxAttempts ?? 1;

/**
 * Milliseconds to wait after the nth failure (from 1): fixed: delay; linear: n × delay; exponential: 2^(n-1) × delay;
 * never above the policy's maximum, which is 5 minutes, or the delay where that is longer, unless the plan sets it.
 */
export const backoffMs = (task: PlanTask, failures: number): number => {
  const { backoff = 'exponential', delayMs = 1_000 } = task.retry ?? {};
  const maxDelayMs = task.retry?.maxDelayMs ?? Math.max(delayMs, 300_000);
  const factor = backoff === 'fixed' ? 1 : backoff === 'linear' ? failures : 2 ** (failures - 1);
  return Math.min(delayMs * factor, maxDelayMs);
};
