import { type Commit, type Event, type ExecutionRef, logSubject } from '#libs/contracts';
import { Refused } from '#libs/execution';
import { BrokenHistory, advance, hashOf, isKnown, parseCommit, replay, seal, unborn } from './chain.js';
import { LogError, MAX_COMMIT_BYTES, type StoredCommit } from './store.js';

const ref: ExecutionRef = { tenant: 'acme', execution: 'e1' };
const envelope = { at: '2026-11-20T12:00:00.000Z', cause: 'c1', actor: 'tester', correlationId: 'k1' };
const requested: Event = {
  type: 'ExecutionRequested',
  ...envelope,
  data: {
    plan: { name: 'p', tasks: [{ id: 'a', runner: 'noop', input: {}, dependsOn: [] }] },
    name: 'p',
    labels: {},
    input: {},
    dialect: 'canonical',
  },
};
const paused: Event = { type: 'ExecutionPaused', ...envelope, data: {} };

/** What a log would return for these commits of one event each. */
const history = (...events: Event[]): StoredCommit[] => {
  let execution = unborn(ref);
  return events.map((event, i) => {
    const { commit, body, hash } = seal(execution, [event]);
    const stored = { ref, sequence: 10 + i, storedAt: envelope.at, hash, bytes: body.length, commit };
    execution = { ...execution, version: commit.version, sequence: stored.sequence, hash };
    return stored;
  });
};

describe('the hash chain', () => {
  it('starts from the subject, and each commit carries the hash of the bytes before it', () => {
    const first = seal(unborn(ref), [requested]);
    expect(first.commit).toMatchObject({ version: 1, previous: hashOf(logSubject(ref)) });
    expect(first.hash).toBe(hashOf(first.body));
    expect(parseCommit(first.body)).toEqual(first.commit);
    expect(seal(unborn(ref), [requested]).commit.id).not.toBe(first.commit.id);
  });

  it('folds an unbroken history and knows what the next commit must refer to', () => {
    const commits = history(requested, paused);
    expect(replay(unborn(ref), commits)).toMatchObject({
      version: 2,
      sequence: 11,
      hash: commits[1]?.hash,
      state: { status: 'paused' },
    });
    expect(replay(replay(unborn(ref), commits.slice(0, 1)), commits.slice(1))).toEqual(replay(unborn(ref), commits));
  });

  it.each([
    ['a commit is missing', ([, second]: StoredCommit[]) => [second!], /version 2 follows version 0/],
    ['a commit is there twice', ([first]: StoredCommit[]) => [first!, first!], /version 1 follows version 1/],
    ['the order is another', ([first, second, third]: StoredCommit[]) => [first!, third!, second!], /version 3 follows version 1/],
    ['a byte of an earlier commit has changed', ([first, second]: StoredCommit[]) => [{ ...first!, hash: hashOf('x') }, second!], /hash/],
  ])('halts the execution when %s', (_, alter, why) => {
    const altered = alter(history(requested, paused, paused));
    const broken = (): unknown => replay(unborn(ref), altered);
    expect(broken).toThrow(BrokenHistory);
    expect(broken).toThrow(why);
  });

  it('refuses the first commit of another execution', () => {
    expect(() => advance(unborn({ ...ref, execution: 'e2' }), history(requested)[0]!)).toThrow(BrokenHistory);
  });

  it('stops at an event that a later version wrote', () => {
    const [first] = history({ ...requested, type: 'ExecutionTeleported' } as never);
    expect(isKnown(first!.commit)).toBe(false);
    expect(() => advance(unborn(ref), first!)).toThrow(Refused);
  });

  it('refuses a commit over the limit before anything is sent', () => {
    const event: Event = { type: 'ExecutionPaused', ...envelope, data: { reason: 'x'.repeat(MAX_COMMIT_BYTES) } };
    const tooLarge = (): unknown => seal(unborn(ref), [event]);
    expect(tooLarge).toThrow(LogError);
    expect(tooLarge).toThrow(expect.objectContaining({ code: 'COMMIT_TOO_LARGE', retryable: false }));
  });
});

describe('what is read as a commit', () => {
  const commit: Commit = seal(unborn(ref), [requested]).commit;
  const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));

  it.each([
    ['nothing', ''],
    ['cut JSON', '{"id":'],
    ['an array', []],
    ['null', null],
    ['no events', { ...commit, events: [] }],
    ['an event without a type', { ...commit, events: [{ at: envelope.at }] }],
    ['a null event', { ...commit, events: [null] }],
    ['a version that is no integer', { ...commit, version: '1' }],
    ['no id', { ...commit, id: undefined }],
  ])('is not %s', (_, value) => {
    expect(parseCommit(bytes(value))).toEqual({ unreadable: expect.any(String) });
  });

  it('is not what is no UTF-8', () => {
    expect(parseCommit(new Uint8Array([0x22, 0xff, 0x22]))).toEqual({ unreadable: expect.any(String) });
  });

  it('may hold events of types that are not known', () => {
    expect(parseCommit(bytes({ ...commit, events: [{ ...envelope, type: 'ExecutionTeleported', data: {} }] }))).toMatchObject({ id: commit.id });
  });
});
