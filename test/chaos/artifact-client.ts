import { createHash } from 'node:crypto';
import { type Around, type Gateways, pause, toldBy } from './gateways.js';
import type { Upload } from './program.js';

/** An upload and what its client was told at last. */
export type Uploaded = { readonly key: string; readonly execution: string; readonly sha256: string; readonly isTorn: boolean; id: string | undefined; told: string | undefined; deleted: string | undefined };

type Listed = { readonly id: string; readonly sha256: string; readonly size: number };

const LOOKED_AT = 2;

export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** The same for the same key, and nowhere the same as so many chunks before. */
const bytesOf = (key: string, size: number): Buffer => Buffer.alloc(size, createHash('sha256').update(key).digest().subarray(0, 31));

/** Clients that send files to executions, and look at what is there. */
export class ArtifactClient {
  readonly uploads: Uploaded[] = [];
  /** Downloads that were answered whole. */
  downloads = 0;

  constructor(
    private readonly gateways: Gateways,
    private readonly around: Around,
  ) {}

  async upload(execution: string, key: string, { afterMs, size, expiresInMs, isTorn, deletedAfterMs }: Upload): Promise<void> {
    await pause(afterMs);
    const bytes = bytesOf(key, size);
    const uploaded: Uploaded = { key, execution, sha256: sha256Of(bytes), isTorn, id: undefined, told: undefined, deleted: undefined };
    this.uploads.push(uploaded);
    const path = `/api/v1/executions/${execution}/artifacts`;
    if (isTorn) return await this.tear(path, uploaded, bytes);
    const expiresAt = expiresInMs === undefined ? undefined : new Date(Date.now() + expiresInMs).toISOString();
    const reply = await this.gateways.send({ path, key, body: () => formOf(key, bytes, expiresAt) });
    uploaded.told = toldBy(reply);
    this.around.tell(`AddArtifact of ${execution} (${key}, ${size} bytes): ${uploaded.told}`);
    if (reply.status !== 201) return;
    const id = String(reply.body['id']);
    uploaded.id = id;
    if (reply.body['sha256'] !== uploaded.sha256) this.around.violated(`${key} was sent with ${uploaded.sha256}, and is told to be ${String(reply.body['sha256'])}`);
    await this.download({ id, sha256: uploaded.sha256, size });
    if (deletedAfterMs === undefined) return;
    await pause(deletedAfterMs);
    uploaded.deleted = toldBy(await this.gateways.send({ method: 'DELETE', path: `/api/v1/artifacts/${id}`, key: `${key}-delete` }));
    this.around.tell(`DeleteArtifact ${id} (${key}): ${uploaded.deleted}`);
  }

  /** Downloads some of what is there now. */
  async look(): Promise<void> {
    const answer = await this.gateways.read('/api/v1/artifacts?limit=20');
    if (answer?.status !== 200) return;
    const listed = answer.body['artifacts'] as readonly Listed[];
    for (let i = 0; i < LOOKED_AT && listed.length > 0; i++) await this.download(this.around.random.pick(listed));
  }

  /** Whatever is answered whole is right. False where it was not. */
  async download({ id, sha256, size }: Listed): Promise<boolean> {
    const whole = await this.gateways.bytes(`/api/v1/artifacts/${id}/download`);
    if (whole?.status !== 200) return false;
    this.downloads += 1;
    if (sha256Of(whole.bytes) !== sha256) this.around.violated(`${id} was downloaded with ${whole.bytes.length} bytes of ${size}, SHA-256 ${sha256Of(whole.bytes)}, and is ${sha256}`);
    const from = Math.floor(size / 3);
    const part = await this.gateways.bytes(`/api/v1/artifacts/${id}/download`, { range: `bytes=${from}-${size - 2}` });
    if (part?.status === 206 && !part.bytes.equals(whole.bytes.subarray(from, size - 1))) this.around.violated(`bytes ${from} to ${size - 2} of ${id} are others than those of the whole`);
    return true;
  }

  /** Is cut off in the middle of the bytes, and never comes again. */
  private async tear(path: string, uploaded: Uploaded, bytes: Buffer): Promise<void> {
    const head = '--b\r\ncontent-disposition: form-data; name="file"; filename="torn.bin"\r\ncontent-type: application/octet-stream\r\n\r\n';
    const parts = [Buffer.from(head), bytes.subarray(0, Math.ceil(bytes.length / 2))];
    const body = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        const part = parts.shift();
        if (part) return controller.enqueue(part);
        await pause(100);
        controller.error(new Error('torn'));
      },
    });
    await this.gateways.sendOnce(path, { method: 'POST', body, duplex: 'half', headers: { 'content-type': 'multipart/form-data; boundary=b', 'idempotency-key': uploaded.key } });
    uploaded.told = 'torn';
    this.around.tell(`an upload to ${uploaded.execution} (${uploaded.key}, ${bytes.length} bytes) is torn`);
  }
}

const formOf = (key: string, bytes: Buffer, expiresAt: string | undefined): FormData => {
  const form = new FormData();
  form.set('tags', 'chaos');
  if (expiresAt !== undefined) form.set('expiresAt', expiresAt);
  form.set('file', new Blob([new Uint8Array(bytes)]), `${key}.bin`);
  return form;
};
