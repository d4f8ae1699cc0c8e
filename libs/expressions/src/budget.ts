/** Steps of one condition, or of all templates of an input, of a microsecond or so: a call, a turn of a loop, 64 characters or 16 members looked at. */
export const MAX_STEPS = 50_000;

/** Not an error of the language: those can be made up for in it, as by `|| true`. */
export class BudgetSpent extends Error {
  override readonly name = 'BudgetSpent';
}

let left = 0;
let isOpen = false;

/** Evaluation is synchronous: one at a time has a budget, which is for all that is evaluated inside it. */
export const withBudget = <T>(evaluate: () => T): T => {
  if (isOpen) return evaluate();
  left = MAX_STEPS;
  isOpen = true;
  try {
    return evaluate();
  } finally {
    isOpen = false;
  }
};

/** Throws BudgetSpent where less is left. */
export const spend = (steps: number): void => {
  left -= steps;
  if (left < 0) throw new BudgetSpent(`more than ${MAX_STEPS} steps`);
};
