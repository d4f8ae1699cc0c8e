import type { Readable } from 'node:stream';
import { type ArtifactRoom, ArtifactTooLarge, type Claim, type Kept, artifactOf, keepBytes, mayBeNamed, unlimited } from '#libs/artifacts';
import type { ExecutionRef } from '#libs/contracts';
import type { NewArtifact } from '#libs/execution';
import type { ArtifactStore } from '#libs/jetstream';
import { LogError, type LogStore, derivedId, uuid7 } from '#libs/ledger';
import { type ArtifactForm, parseArtifactForm } from './artifact-form.js';
import type { Caller, Controlled, Executions } from './executions.js';
import { type Fields, MAX_BESIDE_FILE, readForm } from './multipart.js';
import { Problem } from './problem.js';

type Uploaded = { readonly artifact: NewArtifact; readonly sequence: number; readonly replayed: boolean };

export type Upload = {
  readonly payload: Readable;
  readonly contentType: string;
  /** Bytes of the body, where its client says how many come. */
  readonly length: number | undefined;
  /** The request's, once it is known what is asked for: the fields and the bytes, by their SHA-256. */
  readonly callerOf: (asked: unknown) => Caller;
};

type Taken = { readonly kept: Kept; readonly filename: string };

/** Files in, facts out: bytes first, and only then the event by which anybody sees them. */
export class Artifacts {
  constructor(
    private readonly log: LogStore,
    private readonly store: Pick<ArtifactStore, 'put' | 'delete'>,
    private readonly executions: Pick<Executions, 'control'>,
    private readonly room: ArtifactRoom,
    /** Of one artifact. */
    private readonly maxBytes: number,
  ) {}

  /** Throws Problem, Refused, ArtifactTooLarge, NoRoomForArtifact, ArtifactError, LogError; then nothing of it is to be seen, unless that stays unknown. */
  async upload(ref: ExecutionRef, upload: Upload): Promise<Uploaded> {
    // Nobody is to send, and no disk to take, gigabytes that are refused in the end.
    if (upload.length !== undefined && upload.length > this.maxBytes + MAX_BESIDE_FILE) throw new ArtifactTooLarge(this.maxBytes);
    const claim = (await this.isRepeated(ref, upload)) ? unlimited : await this.room.claim(ref.tenant);
    try {
      return await this.take(ref, upload, claim);
    } finally {
      claim.release();
    }
  }

  /** What was stored before is answered as it was then, whatever room there is now. */
  private async isRepeated(ref: ExecutionRef, { callerOf }: Upload): Promise<boolean> {
    const key = callerOf({}).idempotency?.key;
    return key !== undefined && (await this.created(ref, artifactIdOf(ref, key))) !== undefined;
  }

  private async take(ref: ExecutionRef, { payload, contentType, callerOf }: Upload, claim: Claim): Promise<Uploaded> {
    const take = async ({ filename, bytes }: { filename: string; bytes: AsyncIterable<Uint8Array> }): Promise<Taken> => ({
      filename,
      kept: await keepBytes(this.store, ref, claim.counted(bytes), { name: filename, maxBytes: this.maxBytes }),
    });
    const { fields, taken } = await readForm(payload, contentType, take, ({ kept }) => this.drop(ref, kept));
    try {
      await claim.confirm();
      const uploaded = await this.add(ref, taken, fields, callerOf);
      if (!uploaded.replayed) claim.named(uploaded.sequence);
      return uploaded;
    } catch (error) {
      // Where nobody knows whether the event is stored the bytes have to stay; sweeping finds out.
      if (!(error instanceof LogError && error.code === 'OUTCOME_UNKNOWN')) await this.drop(ref, taken.kept);
      throw error;
    }
  }

  async delete(ref: ExecutionRef, artifactId: string, object: string, caller: Caller): Promise<Controlled> {
    const answer = await this.executions.control(ref, { type: 'DeleteArtifact', artifactId }, caller);
    await this.store.delete({ tenant: ref.tenant, object }).catch(() => undefined);
    return answer;
  }

  private async add(ref: ExecutionRef, { kept, filename }: Taken, fields: Fields, callerOf: Upload['callerOf']): Promise<Uploaded> {
    const form: ArtifactForm = parseArtifactForm(fields, filename, Date.now());
    const caller = callerOf({ ...Object.fromEntries(fields), filename, sha256: kept.sha256 });
    const artifactId = caller.idempotency ? artifactIdOf(ref, caller.idempotency.key) : uuid7();
    const artifact = artifactOf(kept, { artifactId, ...form });
    if (!mayBeNamed(kept)) throw new Problem(503, 'UPLOAD_TOO_SLOW', 'the bytes were stored long ago, and may be gone; send them again', { retryAfterSeconds: 1 });
    const { sequence, replayed } = await this.executions.control(ref, { type: 'AddArtifact', artifact }, caller);
    if (!replayed) return { artifact, sequence, replayed };
    await this.drop(ref, kept);
    return { artifact: (await this.created(ref, artifactId)) ?? artifact, sequence, replayed };
  }

  /** As it stands in the log. */
  private async created(ref: ExecutionRef, artifactId: string): Promise<NewArtifact | undefined> {
    const history = await this.log.history(ref);
    for (const { commit } of history) {
      for (const event of commit.events) if (event.type === 'ArtifactCreated' && event.data.artifactId === artifactId) return event.data;
    }
    return undefined;
  }

  /** Bytes that nothing names. What can't be removed now is swept. */
  private async drop({ tenant }: ExecutionRef, { object }: Kept): Promise<void> {
    await this.store.delete({ tenant, object }).catch(() => undefined);
  }
}

/** The same for the same key and execution. */
export const artifactIdOf = ({ tenant, execution }: ExecutionRef, key: string): string => derivedId(tenant, `artifact ${execution} ${key}`);
