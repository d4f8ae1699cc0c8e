// Error codes of the JetStream API, as nats-server's errors.json lists them.
export const codes = {
  messageNotFound: 10037,
  streamNotFound: 10059,
  streamNameInUse: 10058,
  jetStreamDisabled: 10076,
  jetStreamDisabledForAccount: 10039,
  insufficientResources: 10023,
  storageExceeded: 10047,
  wrongLastSequence: 10071,
  wrongLastSequenceConstant: 10164,
  maximumBytes: 10077,
  batchIncomplete: 10176,
  batchDuplicate: 10201,
  batchTooManyInFlight: 10210,
} as const;

export const isConflict = (code: number | undefined): boolean =>
  code === codes.wrongLastSequence || code === codes.wrongLastSequenceConstant;

export const isFull = (code: number | undefined): boolean =>
  code === codes.maximumBytes || code === codes.storageExceeded || code === codes.insufficientResources;

/** JetStream's answer to a publish. */
export type PublishAnswer = {
  readonly stream?: string;
  readonly seq?: number;
  readonly duplicate?: boolean;
  readonly batch?: string;
  readonly count?: number;
  readonly error?: { readonly code: number; readonly err_code?: number; readonly description?: string };
};

export const parseAnswer = (data: Uint8Array): PublishAnswer =>
  data.length === 0 ? {} : (JSON.parse(new TextDecoder().decode(data)) as PublishAnswer);
