export { Keyring, KeysInvalid, type Sealed } from './keyring.js';
export { Redaction } from './redaction.js';
export { MAX_SECRETS, isReference, referenceFaults, resolveReferences, secretNames } from './references.js';
export { SecretError, type SecretErrorCode, keyMissing } from './secret-error.js';
export { MAX_ATTEMPT_BYTES, secretValueFault } from './secret-value.js';
