import { type ExecutionRef, isEventType, parseLogSubject, schemaFault } from '#libs/contracts';
import { type State, fold, illegality, initial, isTerminal, remainsOf } from '#libs/execution';
import { ChainAudit } from './chain-audit.js';
import { LogHoles } from './log-holes.js';
import type { StoredCommit } from './store.js';

type FaultCode =
  /** A message of the log is no commit. */
  | 'COMMIT_UNREADABLE'
  /** Log sequences hold nothing. */
  | 'LOG_GAP'
  | 'VERSION_GAP'
  | 'VERSION_OUT_OF_ORDER'
  | 'HASH_MISMATCH'
  /** Not of the shape that the contract gives the event. */
  | 'EVENT_INVALID'
  /** Of a type that this version does not know. */
  | 'EVENT_UNKNOWN'
  /** No decision could have led to it. */
  | 'EVENT_ILLEGAL'
  /** A read model has read what the log no longer holds. */
  | 'LOG_WENT_BACK'
  /** A read model does not know an execution that it has read past. */
  | 'HEAD_MISSING'
  /** A read model knows another commit than the log holds, or has left one out. */
  | 'HEAD_DIFFERS';

/** What is wrong, where, and what to do. Null where it is about more than one execution or commit. */
export type Fault = {
  readonly code: FaultCode;
  readonly sequence: number;
  readonly tenant: string | null;
  readonly execution: string | null;
  readonly version: number | null;
  readonly message: string;
};

/** The last commit of an execution as a read model knows it. */
export type KnownHead = ExecutionRef & { readonly version: number; readonly sequence: number; readonly hash: string };

/** Every execution that a read model knew when it had read up to `asOfSeq`; asked for before the log is read. */
export type KnownHeads = { readonly asOfSeq: number; readonly heads: readonly KnownHead[] };

type Entry = {
  readonly ref: ExecutionRef;
  readonly chain: ChainAudit;
  /** What it folds to, of one that has ended its remains; undefined: no longer known. */
  state: State | undefined;
  firstSequence: number;
  head: KnownHead | undefined;
  headSeen: boolean;
  faulty: boolean;
};

const rebuild = 'rebuild the read models: runledger rebuild';
const restore = 'restore the log from a backup; until then only this execution is halted';

/**
 * Finds what is wrong with a log, message by message in the order of the log, and names each fault once, as soon as it is certain.
 * Of an execution that has ended it keeps some hundred bytes, of another one its state.
 */
export class Audit {
  private readonly entries = new Map<string, Entry>();
  private readonly asOfSeq: number | undefined;
  private readonly holes = new LogHoles();
  private lastSequence = 0;

  constructor(
    /** The whole log, or one execution's part of it, where sequences in between belong to others. */
    private readonly scope: 'log' | 'execution',
    known?: KnownHeads,
  ) {
    this.asOfSeq = known?.asOfSeq;
    for (const head of known?.heads ?? []) this.entry(head).head = head;
  }

  take(stored: StoredCommit): readonly Fault[] {
    const { sequence, ref } = stored;
    this.holeBefore(sequence);
    const faults: Fault[] = [];
    const entry = this.entry(ref);
    entry.firstSequence ||= sequence;
    const { version, sound, purged, faults: broken } = entry.chain.take(stored);
    if (purged > 0) this.holes.claim(sequence, purged);
    faults.push(...broken.map((fault) => ({ ...fault, ...ofExecution(ref) })));
    if (!entry.chain.intact) entry.state = undefined;
    if (broken.length > 0) entry.faulty = true;
    const fault = (sound ? this.contentFault(entry, stored, purged) : undefined) ?? this.headFault(entry, { version, purged }, stored, broken.length > 0);
    if (fault) {
      faults.push(fault);
      entry.chain.doubt();
      entry.state = undefined;
      entry.faulty = true;
    }
    return faults;
  }

  /** A message that is no commit, in its place. */
  unreadable(sequence: number, subject: string, why: string): readonly Fault[] {
    this.holeBefore(sequence);
    const ref = parseLogSubject(subject);
    if (ref) {
      const entry = this.entry(ref);
      entry.chain.lose();
      Object.assign(entry, { state: undefined, faulty: true, firstSequence: entry.firstSequence || sequence });
    }
    const message = `the message on ${subject} is no commit (${why}): it was altered, or published by something else; ${restore}`;
    return [{ code: 'COMMIT_UNREADABLE', sequence, ...(ref ? ofExecution(ref) : ofNone), version: null, message }];
  }

  /** What shows only now. `lastSequence` is that of the log when the reading ended. */
  end(lastSequence: number): readonly Fault[] {
    if (lastSequence > this.lastSequence) this.holeBefore(lastSequence + 1);
    const faults = this.holeFaults();
    for (const entry of this.entries.values()) {
      const missing = entry.chain.end();
      faults.push(...missing.map((fault) => ({ ...fault, ...ofExecution(entry.ref) })));
      const fault = this.headFaultAtEnd(entry, missing.length > 0, lastSequence);
      if (fault) faults.push(fault);
    }
    if (this.scope === 'execution' || this.asOfSeq === undefined || this.asOfSeq <= lastSequence) return faults;
    if (faults.some(({ code }) => code === 'LOG_WENT_BACK')) return faults;
    const message = `the log ends at ${lastSequence}, but a read model has read up to ${this.asOfSeq}: its tail was lost; restore it from a backup`;
    return [...faults, { code: 'LOG_WENT_BACK', sequence: lastSequence, ...ofNone, version: null, message }];
  }

  /** Executions that the log holds something of. */
  get executions(): number {
    let count = 0;
    for (const { firstSequence } of this.entries.values()) if (firstSequence > 0) count += 1;
    return count;
  }

  private entry(ref: ExecutionRef): Entry {
    const key = `${ref.tenant}.${ref.execution}`;
    const known = this.entries.get(key);
    if (known) return known;
    const { tenant, execution } = ref;
    const own = { tenant, execution };
    const entry: Entry = {
      ref: own,
      chain: new ChainAudit(own),
      state: initial,
      firstSequence: 0,
      head: undefined,
      headSeen: false,
      faulty: false,
    };
    this.entries.set(key, entry);
    return entry;
  }

  /** True where something is missing that a tombstone further on may account for: read on before the end. */
  get hasOpenHoles(): boolean {
    return this.holes.judge().holes.length > 0;
  }

  private holeBefore(sequence: number): void {
    const [from, to] = [this.lastSequence + 1, sequence - 1];
    this.lastSequence = sequence;
    if (this.scope === 'log' && from <= to) this.holes.add(from, to);
  }

  private holeFaults(): Fault[] {
    if (this.scope === 'execution') return [];
    const { holes, surplus } = this.holes.judge();
    const fault = (sequence: number, message: string): Fault => ({ code: 'LOG_GAP', sequence, ...ofNone, version: null, message: `${message}; restore the log from a backup` });
    const faults = holes.map(({ from, to, missing }) => {
      if (from === to) return fault(from, `log sequence ${from} holds nothing: a message was deleted`);
      const which = missing === to - from + 1 ? 'hold nothing' : `hold nothing, and ${missing} of them belong to no execution that was deleted`;
      return fault(from, `log sequences ${from} to ${to} ${which}: messages were deleted`);
    });
    if (surplus === 0) return faults;
    return [...faults, fault(this.lastSequence, `deletions account for ${surplus} messages more than are missing: one of them was altered, or this is another log's copy`)];
  }

  /** `purged`: how many versions are gone that a tombstone stands for. */
  private contentFault(entry: Entry, { sequence, commit, ref }: StoredCommit, purged: number): Fault | undefined {
    const fault = (code: FaultCode, message: string): Fault => ({ code, sequence, ...ofExecution(ref), version: commit.version, message });
    const unknown = commit.events.find(({ type }) => !isEventType(type));
    if (unknown) {
      return fault('EVENT_UNKNOWN', `event type ${String(unknown.type)} is not known to this version: a later one wrote it, or it was altered; verify with the latest version`);
    }
    const shape = shapeFault(commit);
    if (shape !== undefined) return fault('EVENT_INVALID', `${shape}: it was altered, or published by something else; ${restore}`);
    const illegal = this.foldIn(entry, commit.events, purged);
    return illegal === undefined ? undefined : fault('EVENT_ILLEGAL', `${illegal}; it was altered, or published by something else; ${restore}`);
  }

  private foldIn(entry: Entry, events: StoredCommit['commit']['events'], purged: number): string | undefined {
    const { state } = entry;
    if (state === undefined) return undefined;
    if (purged > 0 && !state.deleted) {
      // How it came to its end is gone.
      entry.state = fold(state, events);
      return undefined;
    }
    let illegal: string | undefined;
    try {
      const folded = fold(state, events, (before, event) => {
        const why = illegal === undefined ? illegality(before, event) : undefined;
        if (why !== undefined) illegal = `${event.type} can't stand here: ${why}`;
      });
      entry.state = isTerminal(folded.status) ? remainsOf(folded) : folded;
      return illegal;
    } catch (error) {
      return illegal ?? `it can't be folded (${String(error)})`;
    }
  }

  private headFault(entry: Entry, { version, purged }: { version: number; purged: number }, { sequence, hash, ref }: StoredCommit, named: boolean): Fault | undefined {
    const { head, faulty } = entry;
    if (!head) return undefined;
    const fault = (message: string): Fault => ({ code: 'HEAD_DIFFERS', sequence, ...ofExecution(ref), version, message });
    if (version === head.version) {
      entry.headSeen = true;
      if (head.hash === hash || named) return undefined;
      return fault(`version ${version} is not the commit that the read model has read (at log sequence ${head.sequence}): it was altered since; restore the log from a backup, or ${rebuild}`);
    }
    const isNext = version > head.version && version - purged <= head.version + 1;
    if (!isNext || sequence > (this.asOfSeq ?? 0) || faulty) return undefined;
    return fault(`the read model has read past log sequence ${sequence}, but knows version ${head.version} only; ${rebuild}`);
  }

  private headFaultAtEnd(entry: Entry, named: boolean, lastSequence: number): Fault | undefined {
    const { head, headSeen, ref, chain, firstSequence, faulty } = entry;
    if (!head) {
      if (this.asOfSeq === undefined || faulty || named || firstSequence > this.asOfSeq) return undefined;
      const message = `the read model has read past log sequence ${firstSequence}, but does not know this execution; ${rebuild}`;
      return { code: 'HEAD_MISSING', sequence: firstSequence, ...ofExecution(ref), version: chain.version, message };
    }
    if (headSeen || head.version <= chain.version || chain.mayHaveLost(head.version)) return undefined;
    const ends = chain.version === 0 ? 'does not hold this execution at all' : `ends it at version ${chain.version}`;
    const message = `the log (its end is ${lastSequence}) ${ends}, but the read model has read version ${head.version} at log sequence ${head.sequence}: its tail was lost; restore it from a backup`;
    return { code: 'LOG_WENT_BACK', sequence: head.sequence, ...ofExecution(ref), version: head.version, message };
  }
}

const ofNone = { tenant: null, execution: null } as const;
const ofExecution = ({ tenant, execution }: ExecutionRef): ExecutionRef => ({ tenant, execution });

const shapeFault = (commit: StoredCommit['commit']): string | undefined => {
  const fault = schemaFault('Commit', commit);
  if (fault) return `${fault.path.slice(1) || 'the commit'} ${fault.message}`;
  for (const [index, { type, data }] of commit.events.entries()) {
    const inData = schemaFault(type, data);
    if (inData) return `events/${index}/data${inData.path} of ${type} ${inData.message}`;
  }
  return undefined;
};
