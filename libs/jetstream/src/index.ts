export { Checkpoints } from './checkpoints.js';
export { type Nats, connectNats } from './connection.js';
export { FEED_BATCH_MAX, type FeedHead, type FeedMessage, FeedStream } from './feed.js';
export type { LogInfo } from './follow.js';
export { JetStreamLog } from './jetstream-log.js';
export { Members, type MembershipOptions } from './members.js';
export { type OutputPiece, OutputStore, type StoredOutput } from './output-store.js';
export type { Timing } from './publish.js';
export { type ProvisionOptions, ProvisioningError, type ProvisioningCode, provision } from './provision.js';
