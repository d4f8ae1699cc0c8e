import type { PlanTask } from '#libs/contracts';

/** The ids along one cycle, the first again at the end; undefined where there is none. Linear, without recursion. */
export const findCycle = (tasks: readonly PlanTask[]): readonly string[] | undefined => {
  const dependencies = new Map(tasks.map((task) => [task.id, task.dependsOn ?? []]));
  const done = new Set<string>();
  for (const { id: root } of tasks) {
    const path: { id: string; next: number }[] = [{ id: root, next: 0 }];
    const onPath = new Set([root]);
    while (path.length > 0) {
      const here = path[path.length - 1]!;
      const dependency = done.has(here.id) ? undefined : dependencies.get(here.id)?.[here.next++];
      if (dependency === undefined) {
        done.add(here.id);
        onPath.delete(here.id);
        path.pop();
      } else if (onPath.has(dependency)) {
        const ids = path.map((node) => node.id);
        return [...ids.slice(ids.indexOf(dependency)), dependency];
      } else if (!done.has(dependency)) {
        path.push({ id: dependency, next: 0 });
        onPath.add(dependency);
      }
    }
  }
  return undefined;
};
