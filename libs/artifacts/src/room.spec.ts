import { ArtifactRoom, type Claim, NoRoomForArtifact, type Used } from './room.js';

const LIMIT = 100;

let used: Used | undefined;
let room: ArtifactRoom;
beforeEach(() => {
  used = { bytes: 0, asOfSeq: 10 };
  room = new ArtifactRoom((tenant) => (tenant === 'free' ? undefined : LIMIT), () => Promise.resolve(used));
});

async function* pieces(...sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (const size of sizes) yield await Promise.resolve(Buffer.alloc(size));
}

const pass = async (claim: Claim, ...sizes: readonly number[]): Promise<number> => {
  let all = 0;
  for await (const { length } of claim.counted(pieces(...sizes))) all += length;
  return all;
};

describe('the room that a tenant has for artifacts', () => {
  it('is taken to the last byte, and no further', async () => {
    used = { bytes: 40, asOfSeq: 10 };
    expect(await pass(await room.claim('t'), 30, 30)).toBe(60);
    await expect(pass(await room.claim('other'), 30, 31)).rejects.toThrow(NoRoomForArtifact);
  });

  it('is not there at all where it is used up, and for others it is', async () => {
    used = { bytes: 100, asOfSeq: 10 };
    await expect(room.claim('t')).rejects.toMatchObject({ code: 'TENANT_LIMIT', retryable: false, message: expect.stringContaining('artifacts of 100 bytes, and 100 are taken') as string });
    expect(await pass(await room.claim('free'), 1_000)).toBe(1_000);
  });

  it('is never passed by many at once, and is used up by those that come through', async () => {
    const claims = await Promise.all(Array.from({ length: 20 }, () => room.claim('t')));
    const outcomes = await Promise.all(claims.map(async (claim, index) => await pass(claim, 15).then(() => claim.named(20 + index), () => claim.release())));
    expect(outcomes).toHaveLength(20);
    // Six of 15 bytes, and no projection knows of them yet.
    expect(await pass(await room.claim('t'), 10)).toBe(10);
    await expect(room.claim('t')).rejects.toThrow(NoRoomForArtifact);
  });

  it('is there again for what was cut off, and once for what is stored, whenever that is known', async () => {
    const cutOff = await room.claim('t');
    await pass(cutOff, 90);
    cutOff.release();
    const stored = await room.claim('t');
    await pass(stored, 60);
    stored.named(11);
    stored.release();
    await expect(pass(await room.claim('t'), 41)).rejects.toThrow(NoRoomForArtifact);
    room = new ArtifactRoom(() => LIMIT, () => Promise.resolve(used));
    const known = await room.claim('t');
    await pass(known, 60);
    known.named(11);
    used = { bytes: 60, asOfSeq: 11 };
    expect(await pass(await room.claim('t'), 40)).toBe(40);
  });

  it('is looked at again before bytes are named: others may have taken it', async () => {
    const claim = await room.claim('t');
    await pass(claim, 60);
    used = { bytes: 41, asOfSeq: 12 };
    await expect(claim.confirm()).rejects.toThrow(NoRoomForArtifact);
    used = { bytes: 40, asOfSeq: 13 };
    await expect(claim.confirm()).resolves.toBeUndefined();
  });

  it('is what was said last while nobody says more, or what is older', async () => {
    used = { bytes: 90, asOfSeq: 10 };
    (await room.claim('t')).release();
    for (const older of [undefined, { bytes: 0, asOfSeq: 9 }]) {
      used = older;
      const claim = await room.claim('t');
      await expect(pass(claim, 11)).rejects.toThrow(NoRoomForArtifact);
      claim.release();
    }
  });
});
