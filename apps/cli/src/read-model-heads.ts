import type { ExecutionRef } from '#libs/contracts';
import { type Nats, requestService } from '#libs/jetstream';
import type { KnownHead, KnownHeads } from '#libs/ledger';
import { type HeadsAnswer, type HeadsQuery, type Loss, type ProjectionsAnswer, type QueryRefusal, queries } from '#libs/projections';

const PAGE = 3_000;

/** Less than the key, and more than every other one that is: no id has a ~ in it. */
const justBefore = ({ tenant, execution }: ExecutionRef): ExecutionRef => {
  const last = execution.charCodeAt(execution.length - 1);
  return { tenant, execution: `${execution.slice(0, -1)}${String.fromCharCode(last - 1)}~` };
};

/** Heads as the status projection knows them, of all executions or one; undefined when no projector answers. */
export const readHeads = async (nats: Nats, ref?: ExecutionRef): Promise<KnownHeads | undefined> => {
  const heads: KnownHead[] = [];
  // Of the first page: what a later one knows beyond it is not missing from the earlier ones.
  let asOfSeq: number | undefined;
  for (let after: HeadsQuery['after'] = ref && justBefore(ref); ; ) {
    const query: HeadsQuery = { limit: ref ? 1 : PAGE, ...(after && { after }) };
    const answer: HeadsAnswer | QueryRefusal | undefined = await requestService(nats, queries.heads, query);
    if (answer === undefined || 'refused' in answer) return undefined;
    asOfSeq ??= answer.asOfSeq;
    heads.push(...answer.heads.filter((head) => !ref || (head.tenant === ref.tenant && head.execution === ref.execution)));
    after = answer.heads[answer.heads.length - 1];
    if (ref || !answer.more || !after) return { asOfSeq, heads };
  }
};

/** Losses of the log that projections have found, each once. */
export const readLosses = async (nats: Nats): Promise<readonly Loss[]> => {
  const answer = await requestService<ProjectionsAnswer>(nats, queries.projections, {});
  const losses = answer?.projections.flatMap((projection) => projection.losses) ?? [];
  return [...new Map(losses.map((loss) => [`${loss.incarnation}/${loss.sequence}/${loss.hash}`, loss])).values()];
};
