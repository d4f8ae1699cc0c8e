import { Chaos } from './chaos.js';
import { reportOf, rowOf, tableHead } from './report.js';

const signals = ['SIGINT', 'SIGTERM'] as const;

/** Plays seeds one after the other, and prints their reports and a table of them; returns the exit code. */
export const main = async (seeds: readonly number[], minutes: number): Promise<number> => {
  const rows: string[] = [];
  for (const seed of seeds) rows.push(...(await play(seed, minutes)));
  if (seeds.length > 1) console.log([...tableHead, ...rows].join('\n'));
  const failed = seeds.length - rows.length;
  if (failed > 0 && seeds.length > 1) console.log(`${failed} of ${seeds.length} seeds are not as they have to be`);
  return failed > 0 ? 1 : 0;
};

/** One seed; its row where all was well. Whatever ends it, no process and no folder is left, but for the folder of a run that failed. */
const play = async (seed: number, minutes: number): Promise<readonly string[]> => {
  const chaos = new Chaos(seed, minutes * 60_000);
  const interrupt = (signal: NodeJS.Signals): void => {
    console.error(`${signal}: stopping everything`);
    void chaos.stop().then(() => process.exit(130));
  };
  for (const signal of signals) process.once(signal, interrupt);
  console.log(`chaos: seed ${seed} for ${minutes} minutes; what happens is told in ${chaos.platform.logs}/trace.log`);
  try {
    const result = await chaos.play();
    const isWell = result.violations.length === 0;
    if (!isWell) chaos.keep(result);
    console.log(reportOf(seed, minutes, result));
    await chaos.stop(!isWell);
    return isWell ? [rowOf(seed, result)] : [];
  } catch (error) {
    console.error(error, `\nseed ${seed}: it broke; its folder is kept: ${chaos.platform.folder}`);
    await chaos.stop(true);
    return [];
  } finally {
    for (const signal of signals) process.off(signal, interrupt);
  }
};
