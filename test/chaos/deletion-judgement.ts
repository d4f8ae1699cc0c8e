import { isTombstone } from '#libs/contracts';
import type { Nats } from '#libs/jetstream';
import type { StoredCommit } from '#libs/ledger';
import type { Gateways } from './gateways.js';
import type { History } from './history.js';

/** Whether the log holds what it has to, which is all but what came before a deletion. */
export const isPurged = ({ commits, models }: Pick<History, 'commits' | 'models'>, held: readonly StoredCommit[]): boolean => {
  const left = commits.filter(({ ref, commit }) => !models.get(ref.execution)?.isDeleted || isTombstone(commit));
  return left.length === held.length && left.every(({ sequence }, index) => sequence === held[index]?.sequence);
};

const STREAMS = ['LOGS', 'FEED'] as const;

/** Of what is deleted nothing is left but that, wherever it is looked for, and everybody is told so. `nats`: of the provisioning user, who sees all streams. */
export async function* ofDeletions({ models }: History, gateways: Gateways, nats: Nats): AsyncGenerator<string> {
  const deleted = new Set([...models].flatMap(([name, { isDeleted }]) => (isDeleted ? [name] : [])));
  for (const stream of STREAMS) {
    for (const subject of await subjectsOf(nats, stream)) {
      const [, , execution = '', ...rest] = subject.split('.');
      const isLeft = deleted.has(execution) && rest.join('.') !== 'execution.deleted';
      if (isLeft) yield `${execution} is deleted, and ${subject} is left in ${stream}`;
    }
  }
  for (const name of deleted) {
    for (const part of ['', '/events', '/output', '/tasks']) {
      const answer = await gateways.read(`/api/v1/executions/${name}${part}`);
      if (answer?.status !== 410 || answer.body['code'] !== 'EXECUTION_DELETED') yield `${name} is deleted, and ${part || 'it'} is answered ${answer?.status}: ${JSON.stringify(answer?.body).slice(0, 200)}`;
    }
  }
}

const subjectsOf = async (nats: Nats, stream: string): Promise<readonly string[]> => {
  type Info = { readonly state: { readonly subjects?: Readonly<Record<string, number>> }; readonly error?: unknown };
  const subjects: string[] = [];
  for (;;) {
    const answer = (await nats.connection.request(`$JS.API.STREAM.INFO.${stream}`, JSON.stringify({ subjects_filter: '>', offset: subjects.length }), { timeout: 10_000 })).json<Info>();
    if (answer.error !== undefined) throw new Error(`${stream} can't be looked into: ${JSON.stringify(answer.error)}`);
    const more = Object.keys(answer.state.subjects ?? {});
    subjects.push(...more);
    if (more.length === 0) return subjects;
  }
};
