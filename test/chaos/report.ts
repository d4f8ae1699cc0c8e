import type { Result } from './chaos.js';
import type { Spread } from './recovery.js';

const MOST_SHOWN = 20;

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(2)} s`;
const spread = ({ count, median, worst }: Spread): string => (count === 0 ? 'never' : `${seconds(median)} median, ${seconds(worst)} worst, of ${count}`);
const counted = (names: readonly string[]): string => {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, count]) => `${count} ${name}`).join(', ') || 'none';
};

/** What a run was, and how it ended, for people. */
export const reportOf = (seed: number, minutes: number, result: Result): string => {
  const { violations, history, faults, recovery, effects, artifacts } = result;
  const of = (kind: string): string => counted(faults.filter((fault) => fault.kind === kind).map((fault) => fault.of));
  const attempts = (kind: string): number => effects.filter((effect) => effect.kind === kind).length;
  const again = effects.filter(({ attempt }) => attempt > 1).length;
  const deleted = [...history.models.values()].filter(({ isDeleted }) => isDeleted);
  const events = history.commits.reduce((sum, { commit }) => sum + commit.events.length, 0);
  return [
    `chaos: seed ${seed}, ${minutes} minutes, nats-server ${result.natsServer}, every write synced`,
    `  killed      ${of('kill')}`,
    `  paused      ${of('pause')}`,
    `  restarted   ${of('restart')}`,
    `  executions  ${history.models.size}: ${counted([...history.models.values()].map(({ status }) => status))}`,
    `  log         ${history.commits.length} commits, ${events} events`,
    `  in bulk     ${result.bulk.length} operations, ${result.dryRuns} dry runs; ${counted(result.bulk.flatMap(({ action, commanded }) => Array.from({ length: commanded }, () => action)))}`,
    `  deleted     ${deleted.length} executions, ${history.torn.size} of which were gone before all of them was seen`,
    `  artifacts   ${artifacts.byTasks} of tasks, ${artifacts.uploaded} uploaded; ${artifacts.deleted} deleted, ${artifacts.expired} expired; ${result.downloads} downloads; ${artifacts.swept} objects that nothing named were swept`,
    `  effects     ${attempts('command')} commands and ${attempts('request')} requests begun, ${again} of them not the first attempt, ${effects.filter(({ isBeside }) => isBeside).length} beside one that was given up`,
    `  clients     ${result.retries} requests sent again; ${result.whys} answers of why`,
    ...[...recovery.commits].map(([kind, times]) => `  recovery    from the kill of ${kind} to the next commit: ${spread(times)}`),
    `  recovery    from the kill of an executor to the next event of what it ran: ${spread(recovery.orphans)}`,
    ...(violations.length === 0
      ? ['  all is as it has to be']
      : [
          `  VIOLATED    ${violations.length} times`,
          ...violations.slice(0, MOST_SHOWN).map((violation) => `    - ${violation}`),
          ...(violations.length > MOST_SHOWN ? [`    … and ${violations.length - MOST_SHOWN} more`] : []),
          `  kept        ${result.folder}: logs, trace.log among them, commits.jsonl, violations.txt, and the broker's files`,
        ]),
    `  replay      npm run test:chaos -- --seed ${seed} --minutes ${minutes}`,
  ].join('\n');
};

/** Of a table in Markdown, a row for each seed, with what its columns are. */
export const tableHead = [
  'Kills are of nats-server, executors, gateways and the projector. Effects are commands and requests begun, and how many of them were not the first attempt. In bulk are operations, dry runs, and',
  'the commands that executions had of them. Artifacts are those of tasks, those uploaded, and objects that nothing named and that were swept; deleted are executions.',
  '',
  '| seed | kills | executions | commits | effects | in bulk | artifacts | deleted | kill of nats-server to the next commit: median, worst | worst of any kill |',
  '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
];

const number = (n: number): string => n.toLocaleString('en-US');

export const rowOf = (seed: number, { history, faults, recovery, effects, bulk, dryRuns, artifacts }: Result): string => {
  const killed = ['nats-server', 'executor', 'gateway', 'projector'].map((kind) => faults.filter((fault) => fault.kind === 'kill' && fault.of === kind).length);
  const attempts = (kind: string): string => number(effects.filter((effect) => effect.kind === kind).length);
  const ofBroker = recovery.commits.get('nats-server');
  const columns = [
    seed,
    killed.join(' + '),
    number(history.models.size),
    number(history.commits.length),
    `${attempts('command')} + ${attempts('request')}, ${number(effects.filter(({ attempt }) => attempt > 1).length)}`,
    `${bulk.length} + ${dryRuns}, ${number(bulk.reduce((sum, { commanded }) => sum + commanded, 0))}`,
    `${artifacts.byTasks} + ${artifacts.uploaded}, ${artifacts.swept}`,
    number([...history.models.values()].filter(({ isDeleted }) => isDeleted).length),
    ofBroker ? `${seconds(ofBroker.median)}, ${seconds(ofBroker.worst)}` : 'never',
    seconds(Math.max(0, ...[...recovery.commits.values()].map(({ worst }) => worst))),
  ];
  return `| ${columns.join(' | ')} |`;
};
