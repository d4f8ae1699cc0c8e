export {
  type MarkedFile,
  type NotKept,
  type Attempt,
  type Course,
  type Heartbeat,
  type InputProblem,
  type Outcome,
  type OutputChunk,
  type OutputStream,
  type Progress,
  type Runner,
  type StepReport,
} from './runner.js';
export { type CommandInput } from './command-input.js';
export { type HttpInput } from './http-input.js';
export { type InputCheck } from './input.js';
export { runnerInputs } from './runner-inputs.js';
export { type SecretSource } from './with-secrets.js';
export { createRunners } from './runners.js';
export { waitInput } from './wait-input.js';
export { limitBounds, plannedLimits } from './command-limits.js';
export { type CommandPolicy } from './command-policy.js';
export { policiesFrom, policyProblems } from './command-policies.js';
export { type Sandbox } from './sandbox.js';
export { type CommandUser } from './work-directory.js';
export { findSandbox } from './command.js';
export { closeInheritedFiles, inheritedFiles } from './inherited-files.js';
