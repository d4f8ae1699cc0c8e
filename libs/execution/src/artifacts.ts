import type { EventData, Fact } from '#libs/contracts';
import { MAX_ARTIFACTS, MAX_EVENTS } from './limits.js';
import { Refused } from './refused.js';
import type { State } from './state.js';
import { isTerminal } from './task-state.js';

export type NewArtifact = EventData['ArtifactCreated'];

const isFull = (state: State): boolean => state.artifacts.size >= MAX_ARTIFACTS || state.events >= MAX_EVENTS;

/**
 * Causes the artifact that a plan with `logArtifact` asks for. It is applied once, whoever does it, also where the artifact is gone again.
 * Clients' keys have no spaces.
 */
export const LOG_ARTIFACT = 'log artifact';

/** True where the execution has ended, and the artifact of its output has yet to be made. */
export const lacksLog = (state: State): boolean =>
  state.plan.logArtifact === true && isTerminal(state.status) && state.applied.get(LOG_ARTIFACT) === undefined;

/** Also of an execution that has ended; nothing where it is there already. Throws Refused ARTIFACTS_FULL. */
export const addArtifact = (state: State, artifact: NewArtifact): readonly Fact[] => {
  if (state.artifacts.has(artifact.artifactId)) return [];
  if (isFull(state)) throw new Refused('ARTIFACTS_FULL', `the execution has ${state.artifacts.size} artifacts, and its history ${state.events} events: it takes no more; delete some, or add it to another execution`);
  return [{ type: 'ArtifactCreated', data: artifact }];
};

/** Of an attempt that runs; what comes of one that has ended, or is too much, is nobody's. */
export const recordArtifact = (state: State, taskId: string, attempt: number, artifact: NewArtifact): readonly Fact[] => {
  const task = state.tasks.get(taskId);
  const isCurrent = !isTerminal(state.status) && task?.status === 'running' && task.attempt === attempt;
  return isCurrent && !isFull(state) && !state.artifacts.has(artifact.artifactId) ? [{ type: 'ArtifactCreated', data: artifact }] : [];
};

/** Throws Refused ARTIFACT_NOT_FOUND. */
export const deleteArtifact = (state: State, artifactId: string): readonly Fact[] => {
  if (state.artifacts.has(artifactId)) return [{ type: 'ArtifactDeleted', data: { artifactId } }];
  throw new Refused('ARTIFACT_NOT_FOUND', 'the execution has no such artifact; it may have been deleted, or have expired');
};

/** Nothing before its time, and nothing twice. */
export const expireArtifact = (state: State, artifactId: string, now: number): readonly Fact[] => {
  const expiresAt = state.artifacts.get(artifactId)?.expiresAt ?? Infinity;
  return now >= expiresAt ? [{ type: 'ArtifactExpired', data: { artifactId } }] : [];
};

export const withArtifact = (state: State, { artifactId, expiresAt }: NewArtifact): State['artifacts'] =>
  new Map([...state.artifacts, [artifactId, { expiresAt: expiresAt === undefined ? undefined : Date.parse(expiresAt) }]]);

export const withoutArtifact = (state: State, artifactId: string): State['artifacts'] =>
  new Map([...state.artifacts].filter(([id]) => id !== artifactId));
