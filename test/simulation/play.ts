import { type Report, simulate } from './world.js';

const BLOCK = 250;

const failureOf = ({ seed, violations }: Report): string =>
  `seed ${seed}: ${violations.slice(0, 3).join('; ')}. Replay it: npm run test:simulation -- --seed ${seed}`;

/** Defines tests that play `count` seeds from `first` on, and prints how many of what they played, and their time. */
export const playSeeds = (first: number, count: number): void => {
  const last = first + count - 1;
  const played = { steps: 0, commits: 0, runs: 0, troubles: 0 };
  const begun = performance.now();

  for (let from = first; from <= last; from += BLOCK) {
    const to = Math.min(from + BLOCK - 1, last);
    it(`find nothing wrong in seeds ${from} to ${to}`, async () => {
      const failures: string[] = [];
      for (let seed = from; seed <= to && failures.length < 3; seed++) {
        const report = await simulate(seed);
        if (report.violations.length > 0) failures.push(failureOf(report));
        played.steps += report.steps;
        played.commits += report.commits;
        played.runs += report.effects;
        played.troubles += report.troubles;
      }
      expect(failures).toEqual([]);
    }, 300_000);
  }

  afterAll(() => {
    const seconds = ((performance.now() - begun) / 1_000).toFixed(1);
    const { steps, commits, runs, troubles } = played;
    process.stdout.write(`simulation: seeds ${first} to ${last} in ${seconds} s: ${steps} steps, ${commits} commits, ${runs} runs of tasks, ${troubles} crashes and other troubles\n`);
  });
};
