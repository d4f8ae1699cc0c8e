import { isToken } from '#libs/contracts';
import { fields } from './input.js';

/** `{ name }`: what the signals are called that end it. The waiting is the core's. */
export const signalInput = fields({ name: (value, path) => (isToken(value) ? [] : [{ path, message: 'must match ^[A-Za-z0-9_-]{1,64}$' }]) }, ['name']);
