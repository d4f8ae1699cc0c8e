import { type ExecutionRef, isTombstone, logSubject } from '#libs/contracts';
import { hashOf } from './chain.js';
import type { StoredCommit } from './store.js';

type ChainFault = {
  readonly code: 'VERSION_GAP' | 'VERSION_OUT_OF_ORDER' | 'HASH_MISMATCH';
  readonly sequence: number;
  readonly version: number;
  readonly message: string;
};

type Place = { readonly version: number; readonly sequence: number };

/** Versions that were left out, until it shows whether they are missing or only late. */
type Disorder = { readonly early: Place; readonly missing: Set<number>; readonly late: Place[]; taken: number };

/** `purged`: versions before a tombstone that are no longer there, as they should be. */
type Judged = { readonly version: number; readonly sound: boolean; readonly purged: number; readonly faults: readonly ChainFault[] };

/** Commits of the execution within which one that is late must come. */
const LATE_WITHIN = 64;
/** A commit that leaves out more versions than this may be no part of the history at all: what follows it decides. */
const MOST_MISSING = 1_000;

const restore = 'restore the log from a backup; until then only this execution is halted';
const place = ({ version, sequence }: Place): string => `version ${version} (log sequence ${sequence})`;

/**
 * Follows the versions and hashes of one execution. Each fault is named once: what follows is measured by what stands there, not by
 * what should.
 */
export class ChainAudit {
  /** The highest version so far, and where it stands. */
  version = 0;
  sequence = 0;
  /** False once anything was missing, late or altered: what the commits fold to is no longer known. */
  intact = true;
  private hash: string;
  /** Messages that could not be read, each of which may have been a version. */
  private unreadable = 0;
  /** A fault was named at the last commit: that its hash is not the expected one is no news. */
  private doubtful = false;
  private disorder: Disorder | undefined;
  private stray: StoredCommit | undefined;

  constructor(ref: ExecutionRef) {
    this.hash = hashOf(logSubject(ref));
  }

  /** `version` is what the commit counts as; `sound` is true when it is what has to follow. */
  take(stored: StoredCommit): Judged {
    const { version, previous } = stored.commit;
    if (this.stray?.hash === previous) this.advance(this.stray.commit.version, this.stray, false);
    this.stray = undefined;
    const due = this.version + 1;
    const faults: ChainFault[] = [];
    if (this.disorder && ++this.disorder.taken > LATE_WITHIN) faults.push(...this.end());
    if (version === due) {
      const sound = previous === this.hash;
      if (!sound && !this.doubtful) faults.push(this.mismatch(stored));
      this.advance(version, stored, !sound && !this.doubtful);
      return { version, sound, purged: 0, faults };
    }
    if (version > due && isTombstone(stored.commit)) {
      this.advance(version, stored, false);
      return { version, sound: true, purged: version - due, faults };
    }
    if (previous === this.hash) {
      faults.push(this.fault('VERSION_OUT_OF_ORDER', stored, `says version ${version}, but by its hash it is version ${due}: its number was altered`));
      this.advance(due, stored, true);
      return { version: due, sound: false, purged: 0, faults };
    }
    if (version > due) {
      faults.push(...this.leaveOut(stored));
    } else {
      faults.push(...this.late(stored));
    }
    return { version, sound: false, purged: 0, faults };
  }

  /** A message stands here that can't be read. */
  lose(): void {
    this.unreadable += 1;
    this.intact = false;
  }

  /** The last commit has a fault of its own. */
  doubt(): void {
    this.doubtful = true;
    this.intact = false;
  }

  /** True when a message that could not be read may have been this version. */
  mayHaveLost(version: number): boolean {
    return version > this.version && version <= this.version + this.unreadable;
  }

  /** What is still missing is missing for good. */
  end(): readonly ChainFault[] {
    if (!this.disorder) return [];
    const { early, missing } = this.disorder;
    this.disorder = undefined;
    return [gap([...missing], early)];
  }

  private advance(version: number, { sequence, hash }: StoredCommit, doubtful: boolean): void {
    Object.assign(this, { version, sequence, hash });
    this.doubtful = doubtful;
    if (doubtful) this.intact = false;
    else this.unreadable = 0;
  }

  private leaveOut(stored: StoredCommit): readonly ChainFault[] {
    const { sequence, commit } = stored;
    const [first, count] = [this.version + 1, commit.version - this.version - 1];
    const early = { version: commit.version, sequence };
    this.intact = false;
    if (count > MOST_MISSING) {
      this.stray = stored;
      return [gap([first, commit.version - 1], early, count)];
    }
    const isExplained = count <= this.unreadable;
    this.advance(commit.version, stored, false);
    if (isExplained) return [];
    const faults = this.end();
    this.disorder = { early, missing: new Set(Array.from({ length: count }, (_, i) => first + i)), late: [], taken: 0 };
    return faults;
  }

  private late(stored: StoredCommit): readonly ChainFault[] {
    const { sequence, commit } = stored;
    const { version } = commit;
    this.intact = false;
    if (!this.disorder?.missing.delete(version)) {
      return [this.fault('VERSION_OUT_OF_ORDER', stored, `stands behind version ${this.version} although its place is before it: it was stored again, or moved`)];
    }
    const { early, missing, late } = this.disorder;
    late.push({ version, sequence });
    if (missing.size > 0) return [];
    this.disorder = undefined;
    const message = `${place(early)} stands before ${late.map(place).join(', ')}: commits were swapped; ${restore}`;
    return [{ code: 'VERSION_OUT_OF_ORDER', ...early, message }];
  }

  private mismatch(stored: StoredCommit): ChainFault {
    const before = this.version === 0 ? 'the hash of its subject' : `the hash of ${place({ version: this.version, sequence: this.sequence })}`;
    const why = this.version === 0 ? 'it was altered, or belongs to another execution' : 'one of the two was altered';
    return this.fault('HASH_MISMATCH', stored, `does not carry ${before}: ${why}`);
  }

  private fault(code: ChainFault['code'], { sequence, commit }: StoredCommit, what: string): ChainFault {
    return { code, sequence, version: commit.version, message: `version ${commit.version} ${what}; ${restore}` };
  }
}

const gap = (missing: readonly number[], early: Place, count = missing.length): ChainFault => {
  const [first = 0, last = first] = [missing[0], missing[missing.length - 1]];
  const which = count === 1 ? `version ${first} is` : `${count} of the versions ${first} to ${last} are`;
  return { code: 'VERSION_GAP', sequence: early.sequence, version: first, message: `${which} missing before ${place(early)}: commits were lost; ${restore}` };
};
