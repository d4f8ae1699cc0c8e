import { Readable } from 'node:stream';
import { type FilePart, readForm } from './multipart.js';

const contentType = 'multipart/form-data; boundary=b';

const given = (payload: Readable, take = whole): Promise<unknown> => readForm(payload, contentType, take, () => Promise.resolve());

const whole = async ({ bytes }: FilePart): Promise<number> => {
  let size = 0;
  for await (const piece of bytes) size += piece.length;
  return size;
};

const begun = '--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\nabc';

describe('a form whose client has gone', () => {
  it.each([
    ['before anybody read it', undefined],
    ['with an error before anybody read it', new Error('aborted')],
  ])('%s is told as one that ends too early', async (_, error) => {
    const payload = new Readable({ read: () => undefined });
    payload.on('error', () => undefined).destroy(error);
    await new Promise((resolve) => payload.once('close', resolve));
    await expect(given(payload)).rejects.toMatchObject({ code: 'MULTIPART_INVALID' });
  });

  it('within the file is told so, and so is who takes the file', async () => {
    const payload = new Readable({ read: () => undefined });
    const told: unknown[] = [];
    payload.push(begun);
    const reading = given(payload, async (file) => {
      payload.destroy();
      return await whole(file).catch((error: unknown) => {
        told.push(error);
        throw error;
      });
    });
    await expect(reading).rejects.toMatchObject({ code: 'MULTIPART_INVALID' });
    expect(told).toEqual([expect.objectContaining({ code: 'MULTIPART_INVALID' })]);
  });
});

it('a form that is whole is read to its end', async () => {
  expect(await given(Readable.from([Buffer.from(`${begun}\r\n--b--\r\n`)], { objectMode: false }))).toMatchObject({ taken: 3 });
});
