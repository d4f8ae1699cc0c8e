import type { Event } from '#libs/contracts';
import type { StoredCommit } from '#libs/ledger';
import { Model } from '../simulation/model.js';
import type { Uploaded } from './artifact-client.js';
import { ofUploads } from './artifact-judgement.js';
import { isPurged } from './deletion-judgement.js';

const logOf = (...events: readonly (readonly [type: Event['type'], data: object])[]): readonly StoredCommit[] =>
  events.map(([type, data], index) => ({ ref: { tenant: 'default', execution: 'x' }, sequence: index + 1, commit: { version: index + 1, events: [{ type, data }] } }) as unknown as StoredCommit);
const created = (artifactId: string, sha256 = 'right'): readonly ['ArtifactCreated', object] => ['ArtifactCreated', { artifactId, name: 'up.bin', sha256, object: `o-${artifactId}` }];

describe('uploads', () => {
  const uploaded: Uploaded = { key: 'up', execution: 'x', sha256: 'right', isTorn: false, id: 'a', told: 'applied', deleted: undefined };
  const judged = (commits: readonly StoredCommit[], more: Partial<Uploaded> = {}): readonly string[] =>
    [...ofUploads({ commits, models: new Map(), buried: new Map(), torn: new Set(), complaints: [] }, [{ ...uploaded, ...more }])];

  it('are as they have to be when what was acknowledged is there, and what was torn is not', () => {
    expect(judged(logOf(created('a')))).toEqual([]);
    expect(judged(logOf(created('a'), ['ArtifactDeleted', { artifactId: 'a' }]), { deleted: 'applied' })).toEqual([]);
    expect(judged([], { isTorn: true, told: 'torn', id: undefined })).toEqual([]);
  });

  it.each<[string, readonly StoredCommit[], Partial<Uploaded>, RegExp]>([
    ['one that is lost', [], {}, /was acknowledged with SHA-256 right, and the log has undefined/],
    ['one with other bytes', logOf(created('a', 'wrong')), {}, /the log has wrong/],
    ['one that is there twice', logOf(created('a'), created('b')), {}, /has made 2 artifacts/],
    ['half of one', logOf(created('a')), { isTorn: true, told: 'torn', id: undefined }, /was torn, and is there/],
    ['one that was never answered', [], { told: undefined, id: undefined }, /was never answered/],
    ['one that is back', logOf(created('a')), { deleted: 'applied' }, /was deleted, and the log says that it is there/],
  ])('show %s', (_what, commits, more, seen) => {
    expect(judged(commits, more)).toEqual([expect.stringMatching(seen)]);
  });
});

it('a log is purged when of what is deleted it holds the deletion alone, and of all else everything', () => {
  const commits = logOf(['ExecutionRequested', {}], ['ExecutionCancelled', {}], ['ExecutionDeleted', { status: 'cancelled' }]);
  const deleted = { commits, models: new Map([['x', Object.assign(new Model(), { isDeleted: true })]]) };
  expect(isPurged(deleted, commits.slice(2))).toBe(true);
  expect(isPurged(deleted, commits.slice(1))).toBe(false);
  expect(isPurged({ commits: commits.slice(0, 2), models: new Map([['x', new Model()]]) }, commits.slice(0, 1))).toBe(false);
});
