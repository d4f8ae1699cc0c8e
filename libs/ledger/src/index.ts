export { Audit, type Fault, type KnownHead, type KnownHeads } from './audit.js';
export {
  BrokenHistory,
  type Execution,
  advance,
  checked,
  hashOf,
  isKnown,
  parseCommit,
  replay,
  seal,
  unborn,
} from './chain.js';
export { append, load, refresh, submit, submitOn } from './ledger.js';
export { type Faults, MemoryLog } from './memory-log.js';
export {
  type Append,
  type AppendResult,
  type FollowHandler,
  type Follower,
  type HistoryRange,
  LogError,
  type LogErrorCode,
  type LogPurge,
  type LogStore,
  MAX_COMMIT_BYTES,
  type Position,
  type StoredCommit,
} from './store.js';
export { derivedId } from './derived-id.js';
export { watchWrites } from './write-watch.js';
export { uuid7 } from './uuid7.js';
