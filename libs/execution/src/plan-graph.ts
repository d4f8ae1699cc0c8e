import type { PlanTask } from '#libs/contracts';
import { childId, isExpanded } from './children.js';
import { findCycle } from './cycle.js';
import { MAX_ITEMS } from './limits.js';
import { comesAfter } from './plan-expressions.js';
import type { PlanFaults } from './plan-faults.js';
import type { LooseTask } from './plan-normal.js';

const MAX_ID = 64;

/** Where in the plan an expression of a task names another one. */
export type Reference = { readonly path: string; readonly task: string; readonly named: string };

const NAMED = 10;

const namesOf = (tasks: readonly LooseTask[]): string => `the plan has ${tasks.slice(0, NAMED).map(({ id }) => id).join(', ')}${tasks.length > NAMED ? ` and ${tasks.length - NAMED} more` : ''}`;

/** Items and iterations are tasks, whose ids nothing else may have. */
const checkChildIds = (faults: PlanFaults, tasks: readonly LooseTask[], index: ReadonlyMap<unknown, number>): void => {
  const longest = MAX_ID - childId('', MAX_ITEMS - 1).length;
  tasks.forEach((task, i) => {
    if (isExpanded(task) && task.id.length > longest) faults.add(`/tasks/${i}/id`, `more than ${longest} characters, which leaves no room for the ids of its items or iterations`);
    const parent = index.get(/^(.+)--\d+$/.exec(task.id)?.[1]);
    if (parent !== undefined && isExpanded(tasks[parent] ?? {})) faults.add(`/tasks/${i}/id`, `is kept for an item or iteration of /tasks/${parent}`);
  });
};

const checkDependencies = (faults: PlanFaults, tasks: readonly LooseTask[]): void => {
  const index = new Map<unknown, number>();
  tasks.forEach((task, i) => {
    const first = index.get(task.id);
    if (first === undefined) index.set(task.id, i);
    else faults.add(`/tasks/${i}/id`, `duplicate id: /tasks/${first} has it already`);
  });
  tasks.forEach((task, i) => {
    const seen = new Set<unknown>();
    // As it came: of a list nobody has looked at what is in it.
    const dependencies: readonly unknown[] = task.dependsOn ?? [];
    dependencies.forEach((dependency, j) => {
      const path = `/tasks/${i}/dependsOn/${j}`;
      if (!index.has(dependency)) faults.add(path, `unknown task ${JSON.stringify(dependency)?.slice(0, 80)}; ${namesOf(tasks)}`);
      else if (seen.has(dependency)) faults.add(path, `${JSON.stringify(dependency)} is listed twice`);
      seen.add(dependency);
    });
  });
  checkChildIds(faults, tasks, index);
  if (faults.any) return;
  const cycle = findCycle(tasks as readonly PlanTask[]);
  if (cycle) {
    const path = `/tasks/${index.get(cycle[0])}/dependsOn`;
    faults.add(path, `cycle: ${cycle.join(' depends on ')}; no task of it could ever start`);
  }
};

/** What undoes is apart from the graph of what is done. */
const checkCompensations = (faults: PlanFaults, tasks: readonly LooseTask[]): void => {
  const known = new Map(tasks.map((task) => [task.id, task]));
  const undone = new Map<string, number>();
  tasks.forEach(({ id: own, compensates, dependsOn = [] }, i) => {
    dependsOn.forEach((dependency, j) => {
      if (known.get(dependency)?.compensates !== undefined) faults.add(`/tasks/${i}/dependsOn/${j}`, `'${dependency}' undoes a task; nothing can depend on it`);
    });
    if (compensates === undefined) return;
    const path = `/tasks/${i}/compensates`;
    const target = known.get(compensates);
    const first = undone.get(compensates);
    if (!target) faults.add(path, `unknown task ${JSON.stringify(compensates).slice(0, 80)}; ${namesOf(tasks)}`);
    else if (target.id === own || target.compensates !== undefined) faults.add(path, `'${compensates}' is itself one that undoes a task`);
    else if (first !== undefined) faults.add(path, `/tasks/${first} undoes '${compensates}' already`);
    undone.set(compensates, first ?? i);
  });
};

/** A task knows of those only that have ended for certain when it starts. */
const checkReferences = (faults: PlanFaults, tasks: readonly LooseTask[], references: readonly Reference[]): void => {
  const known = new Map(tasks.map((task) => [task.id, task]));
  const before = (task: string): readonly string[] => {
    const { dependsOn = [], compensates } = known.get(task) ?? {};
    return compensates === undefined ? dependsOn : [compensates];
  };
  for (const { path, task, named } of references) {
    if (!known.has(named)) {
      faults.add(path, `names task '${named}', which there is not; ${namesOf(tasks)}, and an id with a dash is written tasks['an-id']`);
    } else if (!comesAfter(before, task, named)) {
      faults.add(path, `names task '${named}', on which '${task}' does not depend: its result may not be there yet; list it in dependsOn`);
    }
  }
};

/** Finds what is wrong with how tasks, each sound by itself, refer to one another. `references`: of their expressions. */
export const checkGraph = (faults: PlanFaults, tasks: readonly LooseTask[], references: readonly Reference[]): void => {
  checkDependencies(faults, tasks);
  if (!faults.any) checkCompensations(faults, tasks);
  if (!faults.any) checkReferences(faults, tasks, references);
};
