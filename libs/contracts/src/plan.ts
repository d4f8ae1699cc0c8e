import type * as wire from './generated/runledger/v1/plan.js';
import type { Json, Refine, Wire } from './json.js';

type OnFailure = 'skip' | 'stop' | 'continue';
type OnLost = 'retry' | 'fail';
type Backoff = 'fixed' | 'linear' | 'exponential';

export type RetryPolicy = Refine<Wire<wire.RetryPolicy>, { backoff?: Backoff; finalErrors?: readonly string[]; retryOn?: readonly string[] }>;
type ForEach = Refine<Wire<wire.ForEach>, { items: Json }>;
type Loop = Wire<wire.Loop>;
export type PlanTask = Refine<
  Wire<wire.PlanTask>,
  { retry?: RetryPolicy; onFailure?: OnFailure; onLost?: OnLost; forEach?: ForEach; loop?: Loop; artifacts?: readonly string[] }
>;
export type Plan = Refine<Wire<wire.Plan>, { tasks: readonly PlanTask[] }>;
