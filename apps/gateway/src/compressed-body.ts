import { createGunzip } from 'node:zlib';
import type { FastifyReply, FastifyRequest, RequestPayload } from 'fastify';
import { Problem } from './problem.js';

type Done = (error: Error | null, payload?: RequestPayload) => void;

/** Hook preParsing: unpacks gzip as it arrives, so that the limit of a body holds for what it unpacks to. */
export const unpackBody = (request: FastifyRequest, _reply: FastifyReply, payload: RequestPayload, done: Done): void => {
  const encoding = request.headers['content-encoding']?.toLowerCase() ?? 'identity';
  if (encoding === 'identity') return done(null, payload);
  if (encoding !== 'gzip') {
    return done(new Problem(415, 'ENCODING_UNSUPPORTED', 'a body may be compressed with gzip, or not at all; see Content-Encoding'));
  }
  const unpacked = createGunzip() as ReturnType<typeof createGunzip> & { receivedEncodedLength: number };
  unpacked.receivedEncodedLength = 0;
  payload.on('data', (chunk: Buffer) => (unpacked.receivedEncodedLength += chunk.length));
  payload.on('error', (error) => unpacked.destroy(error));
  // A request that is refused is not read on: what is wrong with the rest of its body nobody hears, and it must not end the process.
  unpacked.on('error', () => undefined);
  done(null, payload.pipe(unpacked));
};
