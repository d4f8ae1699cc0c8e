export { Keyring, KeysInvalid, type Sealed, type SealedAs } from './keyring.js';
export { type RedactingStream, Redaction } from './redaction.js';
export { MAX_SECRETS, type ReferenceFault, isReference, referenceFaults, resolveReferences, secretNames } from './references.js';
export { SecretError, type SecretErrorCode, keyMissing } from './secret-error.js';
export { MAX_ATTEMPT_BYTES, secretValueFault } from './secret-value.js';
