import { Chaos } from './chaos.js';
import { reportOf } from './report.js';

/** Plays a seed and prints its report; returns the exit code. Whatever ends it, no process and no folder is left, but for the folder of a run that failed. */
export const main = async (seed: number, minutes: number): Promise<number> => {
  const chaos = new Chaos(seed, minutes * 60_000);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      console.error(`${signal}: stopping everything`);
      void chaos.stop().then(() => process.exit(130));
    });
  }
  console.log(`chaos: seed ${seed} for ${minutes} minutes; what happens is told in ${chaos.platform.logs}/trace.log`);
  try {
    const result = await chaos.play();
    const isWell = result.violations.length === 0;
    if (!isWell) chaos.keep(result);
    console.log(reportOf(seed, minutes, result));
    await chaos.stop(!isWell);
    return isWell ? 0 : 1;
  } catch (error) {
    console.error(error, `\nseed ${seed}: it broke; its folder is kept: ${chaos.platform.folder}`);
    await chaos.stop(true);
    return 1;
  }
};
