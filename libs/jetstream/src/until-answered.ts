import { PermissionViolationError, RequestError, TimeoutError } from '@nats-io/transport-node';
import { LogError } from '#libs/ledger';
import type { Nats } from './connection.js';
import { forbidden } from './nats-error.js';

const GIVE_UP_AFTER_MS = 30_000;
const PAUSE_MS = 250;

/**
 * Does what may be done again, again, as long as the broker leaves requests unanswered: it may be restarting. Throws LogError
 * LOG_UNAVAILABLE after 30 s, with `what` it was asked for; at once NatsError NATS_FORBIDDEN, and what it has answered.
 */
export const untilAnswered = async <T>(nats: Nats, what: string, work: () => Promise<T>): Promise<T> => {
  for (const until = Date.now() + GIVE_UP_AFTER_MS; ; ) {
    try {
      return await work();
    } catch (error) {
      const refusal = error instanceof RequestError ? error.cause : error;
      if (refusal instanceof PermissionViolationError) throw forbidden(refusal);
      if (!(error instanceof TimeoutError || error instanceof RequestError)) throw error;
      if (Date.now() >= until || nats.connection.isClosed()) {
        throw new LogError('LOG_UNAVAILABLE', `the nats-server did not answer when asked for ${what}; see whether it is up, and try again`, { cause: error });
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
};
