/** A tenant may not have artifacts of so many bytes. */
export class NoRoomForArtifact extends Error {
  override readonly name = 'NoRoomForArtifact';
  readonly code = 'TENANT_LIMIT';
  readonly retryable = false;

  constructor(taken: number, limit: number) {
    super(`your tenant may have artifacts of ${limit} bytes, and ${taken} are taken, those included that are on their way; delete some, or ask whoever runs this server for more`);
  }
}

/** Bytes of all artifacts of a tenant, as of a position in the log. */
export type Used = { readonly bytes: number; readonly asOfSeq: number };

/** Bytes that become an artifact, taken from what there is for the tenant as they come. */
export type Claim = {
  /** The same bytes. Throws NoRoomForArtifact as soon as there are too many. */
  counted(bytes: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
  /** Looks once more, at what others have stored meanwhile, before they are named. Throws NoRoomForArtifact. */
  confirm(): Promise<void>;
  /** They are named by a commit at this position, and are taken until they are known to be among what is used. */
  named(sequence: number): void;
  /** They are not named, and their room is free. After `named` it changes nothing. */
  release(): void;
};

type Taken = { bytes: number; sequence: number };
type Account = { used: Used; readonly taken: Set<Taken> };

const NOT_YET = Infinity;

/**
 * Keeps artifacts of tenants within their limits. Within one process exactly: what is on its way counts, and what has been stored until
 * it is among what is used. Of several processes each sees what the others have stored once that is told; they can pass a limit together
 * by what they name in the same moment.
 */
export class ArtifactRoom {
  private readonly accounts = new Map<string, Account>();

  constructor(
    /** Bytes of all artifacts of a tenant; undefined: as many as fit. */
    private readonly limitOf: (tenant: string) => number | undefined,
    /** Undefined while nobody can say: then what was said last counts. */
    private readonly usage: (tenant: string) => Promise<Used | undefined>,
  ) {}

  /** Throws NoRoomForArtifact where nothing is left. */
  async claim(tenant: string): Promise<Claim> {
    const limit = this.limitOf(tenant);
    if (limit === undefined) return unlimited;
    const own: Taken = { bytes: 0, sequence: NOT_YET };
    const account = this.accounts.get(tenant) ?? { used: { bytes: 0, asOfSeq: -1 }, taken: new Set() };
    this.accounts.set(tenant, account);
    account.taken.add(own);
    const fit = (more: number): void => {
      const all = takenIn(account);
      if (all + more > limit) throw new NoRoomForArtifact(all - own.bytes, limit);
    };
    const release = (): void => {
      if (own.sequence === NOT_YET) account.taken.delete(own);
    };
    try {
      await this.lookUp(tenant, account);
      fit(1);
    } catch (error) {
      release();
      throw error;
    }
    return {
      counted: async function* (bytes) {
        for await (const piece of bytes) {
          fit(piece.length);
          own.bytes += piece.length;
          yield piece;
        }
      },
      confirm: async () => {
        await this.lookUp(tenant, account);
        fit(0);
      },
      named: (sequence) => {
        own.sequence = sequence;
      },
      release,
    };
  }

  private async lookUp(tenant: string, account: Account): Promise<void> {
    const used = await this.usage(tenant);
    if (!used || used.asOfSeq < account.used.asOfSeq) return;
    account.used = used;
    for (const each of account.taken) if (each.sequence <= used.asOfSeq) account.taken.delete(each);
  }
}

const takenIn = ({ used, taken }: Account): number => [...taken].reduce((sum, { bytes }) => sum + bytes, used.bytes);

/** As much as fits. */
export const unlimited: Claim = {
  counted: (bytes) => bytes,
  confirm: () => Promise.resolve(),
  named: () => undefined,
  release: () => undefined,
};
