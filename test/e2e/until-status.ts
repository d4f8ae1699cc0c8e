import { isTerminal } from '#libs/execution';
import { eventually } from '#libs/testing';
import type { Platform } from './platform.js';

const LOG_LINES = 20;

/** All there is to know about an execution, for the message of a test that failed over it. */
const accountOf = async (platform: Platform, id: string): Promise<string> => {
  const read = async (what: string): Promise<string> => {
    const { status, body } = await platform.get(`/api/v1/executions/${id}${what}`);
    return JSON.stringify(status === 200 ? body : { status, body }, undefined, 1);
  };
  const parts = ['', '/tasks', '/why', '/events?limit=1000'].map(async (what) => {
    const answer = await read(what).catch((error: unknown) => `not answered: ${String(error)}`);
    return `--- ${what || 'execution'}\n${answer}`;
  });
  return [...(await Promise.all(parts)), `--- the last lines of the logs\n${platform.logs(LOG_LINES)}`].join('\n');
};

/**
 * Waits for a status, 60 s unless told. Fails at once where the execution has ended with another one. Either failure says what became
 * of the execution, why it waits, and what the processes have logged.
 */
export const untilStatus = async (platform: Platform, id: string, status: string, timeoutMs = 60_000): Promise<void> => {
  const reached = async (): Promise<string | false> => {
    const { body } = await platform.get(`/api/v1/executions/${id}`);
    const now = String(body['status']);
    return (now === status || isTerminal(now)) && now;
  };
  const fail = async (why: string): Promise<never> => {
    throw new Error(`${why}\n${await accountOf(platform, id)}`);
  };
  const now = await eventually(reached, { timeoutMs, what: `execution ${id} ${status}` }).catch((error: Error) => fail(error.message));
  if (now !== status) await fail(`execution ${id} is ${now}; it was to be ${status}`);
};
