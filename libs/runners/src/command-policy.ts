import type { Failure } from '#libs/contracts';
import type { CommandInput } from './command-input.js';
import { type CommandLimits, tightest } from './command-limits.js';

/**
 * Whether commands get the network: `never`, where a plan asks for it (`requested`), or `always` unless a plan declines.
 * Only a sandbox can keep it from them.
 */
export type NetworkPolicy = 'never' | 'requested' | 'always';

/** What the commands of one tenant may do. A plan can only tighten it. Paths are absolute. */
export type CommandPolicy = {
  /** Directories a plan may choose its working directory in; in a sandbox also all it may write to, beside its own. */
  readonly roots: readonly string[];
  /** What else a sandbox shows of the machine, read-only, beside the system's own directories. */
  readonly readable: readonly string[];
  /** Programs a plan may start: names, found along the executor's PATH, or paths. Undefined: any. */
  readonly programs?: readonly string[];
  readonly network: NetworkPolicy;
  readonly limits: CommandLimits;
};

/** What one attempt gets. */
export type Grant = { readonly network: boolean; readonly limits: CommandLimits };

/** What a policy leaves of what a plan asks for, or why that is too much. Code: COMMAND_NETWORK_REFUSED. */
export function grant(policy: CommandPolicy, { network, limits, maxOutputBytes }: CommandInput): Grant | Failure {
  if (network === true && policy.network === 'never') {
    return {
      code: 'COMMAND_NETWORK_REFUSED',
      message: 'the task asks for the network, which the policy of its tenant does not grant',
      retryable: false,
    };
  }
  return {
    network: policy.network === 'always' ? network !== false : policy.network === 'requested' && network === true,
    limits: tightest(policy.limits, limits ?? {}, maxOutputBytes === undefined ? {} : { outputBytes: maxOutputBytes }),
  };
}
