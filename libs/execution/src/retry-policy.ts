import { MAX_DURATION_MS } from './limits.js';
import { type PlanFaults, at, isObject } from './plan-faults.js';

const MAX_CODES = 32;
const errorCode = /^[A-Z][A-Z0-9_]{0,63}$/;

/** Finds what is wrong with when a task is tried again. */
export const checkRetryPolicy = (faults: PlanFaults, path: string, value: unknown): void => {
  if (value === undefined) return;
  if (!isObject(value)) return faults.add(path, 'must be an object');
  faults.only(path, value, ['maxAttempts', 'backoff', 'delayMs', 'maxDelayMs', 'jitter', 'finalErrors', 'retryOn']);
  if (value['maxAttempts'] === undefined) faults.add(at(path, 'maxAttempts'), 'is required: 1 to 100');
  faults.integer(at(path, 'maxAttempts'), value['maxAttempts'], 1, 100);
  faults.oneOf(at(path, 'backoff'), value['backoff'], ['fixed', 'linear', 'exponential']);
  faults.integer(at(path, 'delayMs'), value['delayMs'], 0, MAX_DURATION_MS);
  faults.integer(at(path, 'maxDelayMs'), value['maxDelayMs'], 0, MAX_DURATION_MS);
  const { jitter = 0, finalErrors, retryOn } = value;
  if (typeof jitter !== 'number' || !(jitter >= 0 && jitter <= 1)) faults.add(at(path, 'jitter'), 'must be a number from 0 to 1');
  checkErrorCodes(faults, at(path, 'finalErrors'), finalErrors, undefined);
  checkErrorCodes(faults, at(path, 'retryOn'), retryOn, finalErrors);
};

const checkErrorCodes = (faults: PlanFaults, path: string, value: unknown, others: unknown): void => {
  if (value === undefined) return;
  if (!Array.isArray(value) || value.length > MAX_CODES) return faults.add(path, `must be a list of at most ${MAX_CODES} error codes`);
  value.forEach((code: unknown, index) => {
    if (typeof code !== 'string' || !errorCode.test(code)) faults.add(at(path, index), `must be an error code: ${errorCode.source}`);
    else if (Array.isArray(others) && others.includes(code)) faults.add(at(path, index), 'stands in finalErrors, too');
  });
};
