import type * as wire from './generated/runledger/v1/audit.js';
import type { Wire } from './json.js';

/** Who did what, from where, and what became of it; see audit.proto. */
export type AuditRecord = Wire<wire.AuditRecord>;
