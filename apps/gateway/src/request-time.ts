import type { FastifyReply, FastifyRequest } from 'fastify';
import { takesFile } from './access.js';

/** Of one request, its body included. */
const WITHIN_MS = 30_000;
/** Of one that brings a file, however large: as long as something comes, and not for ever. */
const SILENCE_MS = 30_000;
const FILE_WITHIN_MS = 6 * 3_600_000;

type RequestTimes = { readonly withinMs: number; readonly silenceMs: number; readonly fileWithinMs: number };

const times: RequestTimes = { withinMs: WITHIN_MS, silenceMs: SILENCE_MS, fileWithinMs: FILE_WITHIN_MS };

type Hook = (request: FastifyRequest, reply: FastifyReply, done: () => void) => void;

/** Hook onRequest: a client that takes too long is cut off. Node's own limit is one for all requests. */
export const timeHook = ({ withinMs, silenceMs, fileWithinMs }: RequestTimes = times): Hook => (request, _reply, done) => {
  done();
  const { raw } = request;
  const { socket } = raw;
  const begun = Date.now();
  const isFile = takesFile(request);
  let seen = socket.bytesRead;
  const timer = setInterval(
    () => {
      const isSilent = !isFile || socket.bytesRead === seen || Date.now() - begun > fileWithinMs;
      seen = socket.bytesRead;
      if (raw.complete) clearInterval(timer);
      else if (isSilent) socket.destroy();
    },
    isFile ? silenceMs : withinMs,
  ).unref();
  raw.on('close', () => clearInterval(timer));
};
