import type { Used } from '#libs/artifacts';
import { type Nats, requestService } from '#libs/jetstream';
import { type ArtifactUsage, type DueAnswer, type KnownAnswer, type QueryRefusal, artifactQueries } from '#libs/projections';
import type { ArtifactHints } from './artifact-keeper.js';

const ask = async <T>(nats: Nats, pattern: string, query: object): Promise<T | undefined> => {
  const answer = await requestService<T | QueryRefusal>(nats, pattern, query);
  return answer === undefined || (typeof answer === 'object' && answer !== null && 'refused' in answer) ? undefined : answer;
};

/** What the projector says of artifacts. */
export const artifactHints = (nats: Nats): ArtifactHints & { readonly usage: (tenant: string) => Promise<Used | undefined> } => ({
  usage: (tenant) => ask<ArtifactUsage>(nats, artifactQueries.usage, { tenant }),
  due: (query) => ask<DueAnswer>(nats, artifactQueries.due, query),
  known: async (tenant, objects, minSeq) => {
    const answer = await ask<KnownAnswer>(nats, artifactQueries.known, { tenant, objects, minSeq });
    return answer && new Set(answer.objects);
  },
});
