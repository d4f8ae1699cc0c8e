import { type Kept, ArtifactTooLarge, artifactOf, keepBytes, mediaTypeOf, nameOf, typeOf } from './index.js';

const png = Buffer.from('89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489', 'hex');
const zip = Buffer.from('504b0506000000000000000000000000000000000000', 'hex');
const text = (value: string): Buffer => Buffer.from(value);

describe('the media type of bytes', () => {
  it.each([
    ['a picture, whatever its name', png, 'x.txt', 'image/png'],
    ['an archive', zip, 'x', 'application/zip'],
    ['a document', text('%PDF-1.7\n'), 'x.html', 'application/pdf'],
    ['text', text('hello\n'), 'x', 'text/plain; charset=utf-8'],
    ['coloured text', text('\u001b[31mhello\u001b[0m\r\n'), 'x.log', 'text/plain; charset=utf-8'],
    ['a table', text('a,b\n1,2\n'), 'x.CSV', 'text/csv; charset=utf-8'],
    ['a page, which nobody is to open as one', text('<!doctype html><script>alert(1)</script>'), 'x.html', 'text/plain; charset=utf-8'],
    ['a drawing that may hold a script', text('<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'), 'x.svg', 'text/plain; charset=utf-8'],
    ['a picture by its name alone', text('no picture'), 'x.png', 'text/plain; charset=utf-8'],
    ['bytes', Buffer.from([1, 2, 3, 0]), 'x.json', 'application/octet-stream'],
    ['nothing', Buffer.alloc(0), 'x.txt', 'application/octet-stream'],
    ['half a character at the end', Buffer.from([0x68, 0xc3]), 'x', 'application/octet-stream'],
  ])('is that of %s', async (_, head, name, expected) => {
    expect(await mediaTypeOf(head, true, name)).toBe(expected);
  });

  it('is text where the head ends within a character, and more follows', async () => {
    expect(await mediaTypeOf(Buffer.from([0x68, 0xc3]), false, 'x')).toBe('text/plain; charset=utf-8');
  });

  it.each([
    ['image/png', 'x', 'image'],
    ['application/zip', 'x', 'archive'],
    ['application/gzip', 'x.tgz', 'archive'],
    ['text/csv; charset=utf-8', 'x.csv', 'data'],
    ['application/json', 'x', 'data'],
    ['application/pdf', 'x', 'document'],
    ['application/vnd.openxmlformats-officedocument.wordprocessingml.document', 'x', 'document'],
    ['text/plain; charset=utf-8', 'build.LOG', 'log'],
    ['text/plain; charset=utf-8', 'x', 'document'],
    ['application/octet-stream', 'x.log', 'other'],
  ])('%s of %s is of type %s where nobody says more', (mediaType, name, expected) => {
    expect(typeOf(mediaType, name)).toBe(expected);
  });
});

describe('a name', () => {
  it.each([
    ['../../x"\r\nSet-Cookie: a=b', '../../x"__Set-Cookie: a=b'],
    ['gpj.\u202eexe', 'gpj._exe'],
    ['\ud800', '_'],
    ['  ', 'unnamed'],
    ['Übersicht 😀.pdf', 'Übersicht 😀.pdf'],
  ])('%j is shown as %j', (given, shown) => {
    expect(nameOf(given)).toBe(shown);
  });

  it('is cut between characters', () => {
    expect(nameOf('a'.repeat(254) + '😀😀')).toBe('a'.repeat(254));
    expect(nameOf('é'.repeat(300))).toHaveLength(255);
  });
});

describe('bytes that are kept', () => {
  const ref = { tenant: 'acme', execution: 'e' };
  const objects: string[] = [];
  const store = {
    put: async ({ object }: { readonly object: string }, bytes: AsyncIterable<Uint8Array>) => {
      let size = 0;
      for await (const piece of bytes) size += piece.length;
      objects.push(object);
      return { size, sha256: 'f'.repeat(64) };
    },
  };
  async function* pieces(...all: readonly Buffer[]): AsyncGenerator<Uint8Array> {
    for (const piece of all) yield await Promise.resolve(piece);
  }

  it('are told by their first ones, however they come', async () => {
    const kept = await keepBytes(store, ref, pieces(...[...png].map((byte) => Buffer.from([byte]))), { name: 'x', maxBytes: 100 });
    expect(kept).toMatchObject({ size: png.length, mimeType: 'image/png', object: objects[0] });
  });

  it('have an object of their own each', async () => {
    const two = await Promise.all([1, 2].map(() => keepBytes(store, ref, pieces(png), { name: 'x', maxBytes: 100 })));
    expect(two[0]?.object).not.toBe(two[1]?.object);
  });

  it('are refused once there are more than may be', async () => {
    const all = pieces(Buffer.alloc(6), Buffer.alloc(6));
    await expect(keepBytes(store, ref, all, { name: 'x', maxBytes: 11 })).rejects.toThrow(ArtifactTooLarge);
    await expect(keepBytes(store, ref, pieces(Buffer.alloc(6), Buffer.alloc(6)), { name: 'x', maxBytes: 12 })).resolves.toMatchObject({ size: 12 });
  });

  it('become an artifact with what is said of it, and nothing that is not', () => {
    const kept: Kept = { object: 'o', size: 1, sha256: 'f'.repeat(64), mimeType: 'image/png', keptAt: 0 };
    expect(artifactOf(kept, { artifactId: 'a', name: 'x\n', tags: ['b', 'b', 'c'], by: { taskId: 't', attempt: 2 } })).toEqual({
      artifactId: 'a',
      name: 'x_',
      type: 'image',
      tags: ['b', 'c'],
      mimeType: 'image/png',
      size: 1,
      sha256: 'f'.repeat(64),
      public: false,
      object: 'o',
      taskId: 't',
      attempt: 2,
    });
    expect(artifactOf(kept, { artifactId: 'a', name: 'x', type: 'report', public: true, description: 'd', expiresAt: 'e' })).toMatchObject({ type: 'report', public: true, description: 'd', expiresAt: 'e' });
  });
});
