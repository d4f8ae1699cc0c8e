import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ArtifactStore, ByteRange } from '#libs/jetstream';
import type { StoredArtifact } from '#libs/projections';
import { Problem } from './problem.js';

/**
 * The bytes that a Range header asks for; undefined for all of them: without one, with one that is no range of bytes, and with several
 * ranges, all of which may be answered with everything. Throws Problem RANGE_NOT_SATISFIABLE.
 */
const rangeOf = (header: string | undefined, size: number): ByteRange | undefined => {
  const [, first = '', last = ''] = /^bytes=(\d{0,16})-(\d{0,16})$/.exec(header ?? '') ?? [];
  if (first === '' && last === '') return undefined;
  const [from, to] = first === '' ? [Math.max(0, size - Number(last)), size] : [Number(first), last === '' ? size : Math.min(Number(last) + 1, size)];
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined;
  if (from < to) return { from, to };
  throw new Problem(416, 'RANGE_NOT_SATISFIABLE', `the artifact has ${size} bytes, none of which are in that range`, { contentRange: `bytes */${size}` });
};

const listed = (header: string | undefined, etag: string): boolean =>
  header !== undefined && header.split(',').some((each) => ['*', etag, `W/${etag}`].includes(each.trim()));

/** As people named it, in both forms that RFC 6266 knows; nothing of it can end the header or be a path, also not to who saves it as it stands. */
const dispositionOf = (name: string): string => {
  const file = name.replace(/[/\\]/g, '_').replace(/^\.+$/, '_');
  const ascii = file.replace(/[^A-Za-z0-9 ._-]/g, '_');
  const encoded = encodeURIComponent(file).replace(/['()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
  return `attachment; filename="${ascii}"; filename*=UTF-8''${encoded}`;
};

/** Never taken for a page of ours, whatever it is: it is saved, not shown, and runs nothing where it is shown all the same. */
const harmless = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; sandbox",
  'cross-origin-resource-policy': 'same-origin',
  'accept-ranges': 'bytes',
  // It may be deleted at any time, and who may read it may change: a cache asks first.
  'cache-control': 'private, no-cache',
};

/** Answers with the artifact's bytes, or with a range of them, as fast as they are taken. Throws Problem RANGE_NOT_SATISFIABLE, PRECONDITION_FAILED. */
export const sendArtifact = async (
  store: Pick<ArtifactStore, 'read'>,
  tenant: string,
  { object, artifact: { name, size, sha256, mimeType } }: StoredArtifact,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> => {
  const { range: wanted, 'if-match': ifMatch, 'if-range': ifRange, 'if-none-match': ifNoneMatch } = request.headers;
  const etag = `"${sha256}"`;
  void reply.headers({ ...harmless, etag });
  if (ifMatch !== undefined && !listed(ifMatch, etag)) throw new Problem(412, 'PRECONDITION_FAILED', `the artifact is ${etag}, not what If-Match names; it never changes: look whether the id is right`);
  if (listed(ifNoneMatch, etag)) return void (await reply.status(304).send());
  const range = ifRange === undefined || ifRange === etag ? rangeOf(wanted, size) : undefined;
  const { from, to } = range ?? { from: 0, to: size };
  void reply
    .status(range ? 206 : 200)
    .headers({ 'content-type': mimeType, 'content-disposition': dispositionOf(name), 'content-length': String(to - from) });
  if (range) void reply.header('content-range', `bytes ${from}-${to - 1}/${size}`);
  if (request.method === 'HEAD') return void (await reply.send(Readable.from([])));
  const bytes = store.read({ tenant, object }, { from, to });
  // What is wrong with the first of them can still be told.
  const first = await bytes.next();
  async function* all(): AsyncGenerator<Uint8Array> {
    if (first.done) return;
    yield first.value;
    yield* bytes;
  }
  await reply.send(Readable.from(all(), { objectMode: false, highWaterMark: 256 * 1024 }));
};
