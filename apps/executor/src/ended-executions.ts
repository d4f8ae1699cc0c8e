import { type Nats, requestService } from '#libs/jetstream';
import { type ExpiredAnswer, type QueryRefusal, type TenantsAnswer, queries } from '#libs/projections';
import type { EndedExecutions } from './retention.js';

/** The status read model, asked over NATS. */
export const endedExecutions = (nats: Nats): EndedExecutions => {
  const ask = async <T extends object>(pattern: string, query: object): Promise<T | undefined> => {
    const answer = await requestService<T | QueryRefusal>(nats, pattern, query);
    return answer === undefined || 'refused' in answer ? undefined : answer;
  };
  return {
    tenants: async () => (await ask<TenantsAnswer>(queries.tenants, {}))?.tenants,
    expired: (query) => ask<ExpiredAnswer>(queries.expired, query),
  };
};
