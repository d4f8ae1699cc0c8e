import type { SecretStore } from '#libs/jetstream';
import type { Logger } from '#libs/platform';

/** Seals every secret with the first key, and says in the log when the others may go. Never rejects: the next start does the rest. */
export const sealWithFirstKey = async (secrets: SecretStore, logger: Logger): Promise<void> => {
  try {
    const { resealed, unreadable } = await secrets.reseal();
    if (resealed > 0) logger.info({ resealed }, 'secrets sealed anew with the first key');
    if (unreadable.length > 0) logger.warn({ unreadable }, 'no key of RUNLEDGER_SECRETS_KEY_FILE opens these secrets; add the key they were sealed with');
  } catch (error) {
    logger.warn({ err: error }, 'secrets could not all be sealed with the first key: keep the others until a later start has done it');
  }
};
