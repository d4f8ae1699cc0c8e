import { type Readable, finished } from 'node:stream';
import { Busboy, type BusboyFileStream, type BusboyInstance } from '@fastify/busboy';
import { Problem } from './problem.js';

const MAX_PARTS = 1_000;
const MAX_FIELD_BYTES = 16 * 1024;
const MAX_HEADER_BYTES = 16 * 1024;

/** What a form may hold beside its file, bytes. */
export const MAX_BESIDE_FILE = MAX_PARTS * (MAX_HEADER_BYTES + MAX_FIELD_BYTES);

/** Texts by field, in the order given. */
export type Fields = ReadonlyMap<string, readonly string[]>;

export type FilePart = { readonly filename: string; readonly bytes: AsyncIterable<Uint8Array> };

const invalid = (why: string): Problem => new Problem(400, 'MULTIPART_INVALID', `the body is no multipart/form-data that can be read: ${why}`);

const asProblem = (error: unknown): Problem => (error instanceof Problem ? error : invalid(error instanceof Error ? error.message : String(error)));

/** What the parser says of it comes in our words. */
async function* bytesOf(stream: BusboyFileStream): AsyncGenerator<Uint8Array> {
  try {
    yield* stream as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw asProblem(error);
  }
}

const parserOf = (contentType: string): BusboyInstance => {
  const limits = { parts: MAX_PARTS, fields: MAX_PARTS, files: 1, fieldSize: MAX_FIELD_BYTES, headerPairs: 50, headerSize: MAX_HEADER_BYTES };
  try {
    return new Busboy({
      headers: { 'content-type': contentType },
      limits,
      // A name is only shown: what it looks like is its client's affair.
      preservePath: true,
      isPartAFile: (field, _contentType, filename) => field === 'file' || filename !== undefined,
    });
  } catch (error) {
    throw invalid(`${(error as Error).message}; set Content-Type to multipart/form-data with a boundary, as \`curl -F\` does`);
  }
};

/**
 * Reads a form with one file, `file`, and fields on either side of it. `take` gets the file as it comes, and has to read it to its end;
 * nothing of it is held here. Resolves with the fields and what `take` gave. Throws Problem MULTIPART_INVALID, MULTIPART_TOO_LARGE or
 * FILE_MISSING, and what `take` throws; by then `take` has ended, and where it had succeeded `undo` has.
 */
export const readForm = async <T>(
  payload: Readable,
  contentType: string,
  take: (file: FilePart) => Promise<T>,
  undo: (taken: T) => Promise<void>,
): Promise<{ readonly fields: Fields; readonly taken: T }> => {
  const parser = parserOf(contentType);
  const fields = new Map<string, string[]>();
  let taking: Promise<T> | undefined;
  const read = new Promise<void>((resolve, reject) => {
    let file: BusboyFileStream | undefined;
    const fail = (error: unknown): void => {
      payload.unpipe(parser);
      // What waits for the rest of the file hears that none comes.
      file?.destroy(error as Error);
      reject(error);
    };
    parser.on('file', (field: string | undefined, stream: BusboyFileStream, filename: string | undefined) => {
      file = stream.on('error', (error) => fail(asProblem(error)));
      if (field !== 'file') return fail(field ? invalid(`field ${field.slice(0, 64)} is a file; the file goes into field file`) : nameless());
      taking = take({ filename: filename ?? '', bytes: bytesOf(stream) });
      taking.catch(fail);
    });
    parser.on('field', (field: string | undefined, value: string, _isNameCut: boolean, isCut: boolean) => {
      if (!field) return fail(nameless());
      if (isCut) return fail(new Problem(413, 'MULTIPART_TOO_LARGE', `field ${field.slice(0, 64)} has more than ${MAX_FIELD_BYTES} bytes; what is large goes in the file`));
      const known = fields.get(field);
      if (known) known.push(value);
      else fields.set(field, [value]);
    });
    parser.on('partsLimit', () => fail(new Problem(413, 'MULTIPART_TOO_LARGE', `the form has more than ${MAX_PARTS} parts; send one file with each request`)));
    parser.on('filesLimit', () => fail(invalid('it holds more than one file; send one at a time')));
    parser.on('error', (error: unknown) => fail(asProblem(error)));
    parser.on('finish', resolve);
    // It may have failed, or have been given up, before anybody read of it: this is told then, too.
    finished(payload, { writable: false }, (error) => {
      if (error) fail(error.code === 'ERR_STREAM_PREMATURE_CLOSE' ? invalid('it ends too early') : asProblem(error));
    });
    payload.pipe(parser);
  });
  try {
    await read;
    if (!taking) throw new Problem(400, 'FILE_MISSING', 'the form has no field file; send the file in it, as `curl -F file=@report.pdf` does');
    return { fields, taken: await taking };
  } catch (error) {
    // Why it stopped taking the file comes before what became of the rest.
    const taken = await taking?.then((value) => ({ value }));
    if (taken) await undo(taken.value);
    throw error;
  }
};

const nameless = (): Problem => invalid('a part has no name; every field needs one');
