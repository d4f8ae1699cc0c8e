import type { Fact } from '#libs/contracts';
import type { Command } from './commands.js';
import { Refused } from './refused.js';
import type { Deletion, State } from './state.js';

/** What whoever asks for a deleted execution is told. */
export const refusalOf = ({ at, by, reason }: Deletion): Refused => {
  const why = reason === undefined ? '' : ` (${reason})`;
  return new Refused('EXECUTION_DELETED', `the execution was deleted at ${new Date(at).toISOString()} by ${by}${why}; its id, and the key it was requested with, can't be used again`);
};

/** Throws Refused EXECUTION_NOT_ENDED. */
export const deletionOf = ({ status, labels }: State, reason: string | undefined): Fact => {
  if (status !== 'completed' && status !== 'failed' && status !== 'cancelled') {
    throw new Refused('EXECUTION_NOT_ENDED', `the execution is ${status ?? 'unborn'}, and only one that has ended can be deleted; cancel it first`);
  }
  const { workspace } = labels;
  return { type: 'ExecutionDeleted', data: { status, ...(workspace !== undefined && { workspace }), ...(reason !== undefined && { reason }) } };
};

/**
 * Nothing follows a deletion: who deletes again is satisfied, what an owner still has to say is of no interest, others are told. `isRepeated`
 * throws where the command's key was used for another one.
 */
export const ofDeleted = (command: Command, deleted: Deletion, isRepeated: () => boolean): readonly Fact[] => {
  switch (command.type) {
    case 'RequestExecution':
    case 'PauseExecution':
    case 'ResumeExecution':
    case 'CancelExecution':
    case 'SendSignal':
    case 'RespondToClarification':
    case 'DelegateClarification':
    case 'AddArtifact':
    case 'DeleteArtifact':
      throw refusalOf(deleted);
    case 'DeleteExecution':
      isRepeated();
      return [];
    case 'StartTask':
    case 'SkipTask':
    case 'DecideLoop':
    case 'RecordChildEnd':
    case 'FailTask':
    case 'RecordOutcome':
    case 'RecordEvent':
    case 'RecordProgress':
    case 'RecordMetadata':
    case 'RecordLostAttempt':
    case 'RecordStep':
    case 'RecordArtifact':
    case 'ExpireArtifact':
    case 'Advance':
      return [];
  }
};
