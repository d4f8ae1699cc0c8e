import type { JsonObject, Plan, PlanTask } from '#libs/contracts';
import { isSubExecution, planOfChild } from './sub-executions.js';

/** A task as it came, once it is known to be one. */
export type LooseTask = Omit<PlanTask, 'input' | 'dependsOn'> & Partial<Pick<PlanTask, 'input' | 'dependsOn'>>;

/** With `input` and `dependsOn` of every task present, and nothing that says the same as its absence. */
export const normalPlan = ({ logArtifact = false, ...plan }: Plan): Plan => ({ ...plan, tasks: plan.tasks.map(normalTask), ...(logArtifact && { logArtifact }) });

const normalInput = (input: JsonObject): JsonObject => ({ ...input, plan: normalPlan(planOfChild({ input })) as unknown as JsonObject });

const normalTask = (task: LooseTask): PlanTask => {
  const { id: taskId, runner, input = {}, dependsOn = [] } = task;
  const { retry, timeoutMs, scheduleToStartMs, heartbeatMs, when, compensates, artifacts, forEach, loop, onFailure, onLost } = task;
  return {
    id: taskId,
    runner,
    input: isSubExecution(task) ? normalInput(input) : input,
    dependsOn,
    ...(retry && { retry }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(scheduleToStartMs !== undefined && { scheduleToStartMs }),
    ...(heartbeatMs !== undefined && { heartbeatMs }),
    ...(when !== undefined && { when }),
    ...(compensates !== undefined && { compensates }),
    ...(artifacts !== undefined && artifacts.length > 0 && { artifacts }),
    ...(forEach && { forEach }),
    ...(loop && { loop }),
    ...(onFailure && { onFailure }),
    ...(onLost && { onLost }),
  };
};
