import type * as wire from './generated/runledger/v1/plan.js';
import type { Refine, Wire } from './json.js';

export type OnFailure = 'skip' | 'stop' | 'continue';
export type OnLost = 'retry' | 'fail';
export type Backoff = 'fixed' | 'linear' | 'exponential';

export type RetryPolicy = Refine<Wire<wire.RetryPolicy>, { backoff?: Backoff; finalErrors?: readonly string[]; retryOn?: readonly string[] }>;
export type PlanTask = Refine<
  Wire<wire.PlanTask>,
  { retry?: RetryPolicy; onFailure?: OnFailure; onLost?: OnLost; artifacts?: readonly string[] }
>;
export type Plan = Refine<Wire<wire.Plan>, { tasks: readonly PlanTask[] }>;
