import type { AtLeast, QueryRefusal } from '#libs/projections';
import type { Projection } from './projection.js';
import { QueryRefused } from './query-refused.js';

export const orRefusal = async <T>(answer: () => T | Promise<T>): Promise<T | QueryRefusal> => {
  try {
    return await answer();
  } catch (error) {
    if (!(error instanceof QueryRefused)) throw error;
    return { refused: { code: error.code, message: error.message } };
  }
};

/** Once the projection knows what is asked for at least; `read` and `asOfSeq` are of the same moment. */
export const answer = <T extends object>(projection: Projection, query: AtLeast, read: () => T): Promise<(T & { readonly asOfSeq: number }) | QueryRefusal> =>
  orRefusal(async () => {
    await projection.atLeast(query);
    return { asOfSeq: projection.asOfSeq, ...read() };
  });
