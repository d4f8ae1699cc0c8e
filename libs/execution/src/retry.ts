import type { Failure, PlanTask } from '#libs/contracts';
import { MAX_RETRY_AFTER_MS } from './limits.js';

/** Attempts in all that the plan allows. */
export const maxAttempts = (task: PlanTask): number => task.retry?.maxAttempts ?? 1;

/** Whether another attempt may help, by the plan's word where it says anything about such an error, else by the runner's. */
export const isRetryable = (task: PlanTask, { code, retryable }: Pick<Failure, 'code' | 'retryable'>): boolean => {
  const { finalErrors = [], retryOn = [] } = task.retry ?? {};
  if (finalErrors.includes(code)) return false;
  return retryOn.length > 0 ? retryOn.includes(code) : retryable;
};

/** What a wait depends on beside the policy. */
export type Failed = {
  /** Attempts that have failed, this one included. */
  readonly failures: number;
  /** From 0 to below 1: how much of what jitter may take off is taken off. */
  readonly chance: number;
  /** What the other side asked for, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
};

/**
 * Milliseconds to wait after the nth failure (from 1): fixed: delay; linear: n × delay; exponential: 2^(n-1) × delay; never above
 * the policy's maximum, which is 5 minutes, or the delay where that is longer, unless the plan sets it. Jitter takes off at most its part.
 * Who asks for a longer wait gets it, up to the maximum that the plan sets, or an hour.
 */
export const backoffMs = (task: PlanTask, { failures, chance, retryAfterMs = 0 }: Failed): number => {
  const { backoff = 'exponential', delayMs = 1_000, jitter = 0 } = task.retry ?? {};
  const maxDelayMs = task.retry?.maxDelayMs ?? Math.max(delayMs, 300_000);
  const factor = backoff === 'fixed' ? 1 : backoff === 'linear' ? failures : 2 ** (failures - 1);
  const own = Math.min(delayMs * factor, maxDelayMs) * (1 - jitter * chance);
  return Math.max(Math.round(own), Math.min(retryAfterMs, task.retry?.maxDelayMs ?? MAX_RETRY_AFTER_MS));
};

/**
 * From 0 to below 1, by the text alone: whoever decides, and however often, waits equally long, while executions that failed together
 * wait differently. FNV-1a, with the last step of MurmurHash3, as similar texts are what it is used for.
 */
export const chanceOf = (text: string): number => {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
};
