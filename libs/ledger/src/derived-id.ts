import { createHash } from 'node:crypto';

/** The same id for the same name within a scope, such as a tenant: a UUID of version 8 (RFC 9562), whose bits come from SHA-256 of both. */
export const derivedId = (scope: string, name: string): string => {
  const bytes = createHash('sha256').update(`${scope}\0${name}`).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
};
