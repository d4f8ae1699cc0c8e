import { type Nats, requestService } from '#libs/jetstream';
import { type AtLeast, type ListQuery, type QueryRefusal, type SelectAnswer, queries } from '#libs/projections';
import { SelectError } from './bulk-runner.js';

/** Which executions fit, asked of the projector. Throws SelectError. */
export const select = async (nats: Nats, query: ListQuery & AtLeast): Promise<SelectAnswer> => {
  const answer = await requestService<SelectAnswer | QueryRefusal>(nats, queries.select, query).catch((error: unknown) => {
    throw new SelectError(`the projector could not be asked: ${String(error)}`);
  });
  if (answer === undefined) throw new SelectError('no projector has answered');
  if ('refused' in answer) throw new SelectError(`the projector does not know it: ${answer.refused.message}`);
  return answer;
};
