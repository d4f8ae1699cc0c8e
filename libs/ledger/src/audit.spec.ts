import fc from 'fast-check';
import { type ExecutionRef, logSubject } from '#libs/contracts';
import { type Command, type State, decide, fold, initial, isTerminal } from '#libs/execution';
import { type Log, generatedLogs, pause, request, start, succeed, task } from '#libs/testing';
import { Audit, type Fault, type KnownHeads } from './audit.js';
import { hashOf, seal, unborn } from './chain.js';
import { MemoryLog } from './memory-log.js';

type Message = { readonly sequence: number; readonly subject: string; readonly body: Uint8Array; readonly ref: ExecutionRef; readonly version: number };

const refOf = (name: string): ExecutionRef => ({ tenant: 'acme', execution: name });

/** Logs of several executions as one, a commit of each in turn. */
const interleaved = (logs: readonly Log[]): Message[] => {
  const ends = logs.map((_, i) => unborn(refOf(`e${i}`)));
  const messages: Message[] = [];
  for (let round = 0; round < Math.max(...logs.map(({ length }) => length)); round++) {
    logs.forEach((log, i) => {
      const [events, end] = [log[round], ends[i]];
      if (!events || !end) return;
      const { commit, body, hash } = seal(end, events);
      ends[i] = { ...end, version: commit.version, hash };
      messages.push({ sequence: messages.length + 1, subject: logSubject(end.ref), body, ref: end.ref, version: commit.version });
    });
  }
  return messages;
};

/** What a read model knows that has read all of it. */
const headsOf = (messages: readonly Message[]): KnownHeads => {
  const heads = new Map(messages.map(({ ref, version, sequence, body }) => [ref.execution, { ...ref, version, sequence, hash: hashOf(body) }]));
  return { asOfSeq: messages.length, heads: [...heads.values()] };
};

const audited = (messages: readonly Message[], known?: KnownHeads, lastSequence = messages[messages.length - 1]?.sequence ?? 0): readonly Fault[] => {
  const audit = new Audit('log', known);
  const faults = messages.flatMap(({ sequence, subject, body }) => {
    const log = new MemoryLog();
    log.write(subject, body);
    const stored = log.stored(1);
    if (!stored || 'unreadable' in stored) return audit.unreadable(sequence, subject, stored?.unreadable ?? '');
    return audit.take({ ...stored, sequence });
  });
  return [...faults, ...audit.end(lastSequence)];
};

const codes = (faults: readonly Fault[]): readonly string[] => faults.map(({ code }) => code);
const renumbered = (messages: readonly Message[]): Message[] => messages.map((message, i) => ({ ...message, sequence: i + 1 }));

const changed = (messages: readonly Message[], index: number, change: (body: string) => string): Message[] =>
  messages.map((message, i) => (i === index ? { ...message, body: new TextEncoder().encode(change(new TextDecoder().decode(message.body))) } : message));

/** A log of at least two commits, and a place in it. */
const damaged = fc
  .record({ logs: fc.array(generatedLogs, { minLength: 1, maxLength: 3 }), at: fc.nat(), bit: fc.nat(), other: fc.nat() })
  .map(({ logs, ...rest }) => ({ messages: interleaved(logs), ...rest }))
  .filter(({ messages }) => messages.length > 1);

const laterOfSame = (messages: readonly Message[], index: number): Message[] =>
  messages.slice(index + 1).filter(({ ref }) => ref.execution === messages[index]?.ref.execution);

describe('the audit of any log', () => {
  it('finds nothing in what was written', () => {
    fc.assert(
      fc.property(damaged, ({ messages }) => {
        expect(audited(messages, headsOf(messages))).toEqual([]);
      }),
    );
  });

  it('names one flipped bit once, at the commit or the one after it', () => {
    fc.assert(
      fc.property(damaged, ({ messages, at, bit }) => {
        const index = at % messages.length;
        const victim = messages[index]!;
        const body = Uint8Array.from(victim.body);
        const place = bit % (body.length * 8);
        body[place >> 3]! ^= 1 << (place & 7);
        const faults = audited(messages.map((message, i) => (i === index ? { ...message, body } : message)), headsOf(messages));
        expect(faults).toHaveLength(1);
        const next = laterOfSame(messages, index)[0];
        expect([victim.sequence, next?.sequence]).toContain(faults[0]?.sequence);
        expect(faults[0]).toMatchObject(victim.ref);
      }),
      { numRuns: 1_500 },
    );
  });

  it('names a dropped commit once, and the hole that it leaves', () => {
    fc.assert(
      fc.property(damaged, ({ messages, at }) => {
        const index = at % (messages.length - 1);
        const { ref, version } = messages[index]!;
        const isLast = laterOfSame(messages, index).length === 0;
        const left = messages.filter((_, i) => i !== index);
        const faults = audited(left, headsOf(messages));
        expect(codes(faults)).toEqual(['LOG_GAP', isLast ? 'LOG_WENT_BACK' : 'VERSION_GAP']);
        expect(faults[0]).toMatchObject({ sequence: index + 1 });
        expect(faults[1]).toMatchObject({ ...ref, version });
        // Without a read model nothing tells of a last commit, nor in a copy without holes of its place.
        expect(codes(audited(renumbered(left)))).toEqual(isLast ? [] : ['VERSION_GAP']);
      }),
    );
  });

  it('names two swapped commits of an execution as swapped', () => {
    fc.assert(
      fc.property(damaged, ({ messages, at, other }) => {
        const index = at % messages.length;
        const later = laterOfSame(messages, index);
        fc.pre(later.length > 0);
        const target = messages.indexOf(later[other % Math.min(later.length, 40)]!);
        const swapped = renumbered(messages.with(index, messages[target]!).with(target, messages[index]!));
        const faults = audited(swapped, headsOf(messages));
        expect(codes(faults)).toEqual(['VERSION_OUT_OF_ORDER']);
        expect(faults[0]).toMatchObject({ ...messages[index]!.ref, sequence: index + 1, version: messages[target]!.version });
      }),
    );
  });

  it('names a commit that is stored twice, once', () => {
    fc.assert(
      fc.property(damaged, ({ messages, at }) => {
        const twice = messages[at % messages.length]!;
        const faults = audited(renumbered([...messages, twice]), headsOf(messages));
        expect(codes(faults)).toEqual(['VERSION_OUT_OF_ORDER']);
      }),
    );
  });

  it('names every execution that a lost tail has cut, and no other', () => {
    fc.assert(
      fc.property(damaged, ({ messages, at }) => {
        const length = 1 + (at % (messages.length - 1));
        const cut = new Set(messages.slice(length).map(({ ref }) => ref.execution));
        const faults = audited(messages.slice(0, length), headsOf(messages));
        expect(new Set(codes(faults))).toEqual(new Set(['LOG_WENT_BACK']));
        expect(faults).toHaveLength(cut.size);
        expect(new Set(faults.map(({ execution }) => execution))).toEqual(cut);
      }),
    );
  });
});

describe('the audit', () => {
  /** Four commits of one execution, the first of another behind the first of it. */
  const steps: readonly Command[] = [request([task('a'), task('b', { dependsOn: ['a'] })]), start('a'), pause, succeed('a')];
  let state = initial;
  const log: Log = steps.map((step, i) => {
    const events = decide(step, state, { now: Date.parse('2026-01-01T00:00:00Z') + i, cause: `c${i}`, actor: 'a', correlationId: 'k' });
    state = fold(state, events);
    return events;
  });
  const messages = interleaved([log, log.slice(0, 1)]);

  it.each([
    ['a message that is no commit', 2, () => 'hello', 'COMMIT_UNREADABLE', 3],
    ['an event of a later version', 2, (body: string) => body.replace('"TaskStarted"', '"TaskBeamedUp"'), 'EVENT_UNKNOWN', 3],
    ['an event of another shape', 2, (body: string) => body.replace('"attempt":1', '"attempt":"1"'), 'EVENT_INVALID', 3],
    ['an event that can not follow', 2, (body: string) => body.replace('"taskId":"a"', '"taskId":"b"'), 'EVENT_ILLEGAL', 3],
    ['a time before the last one', 2, (body: string) => body.replaceAll('"2026-', '"2025-'), 'EVENT_ILLEGAL', 3],
    ['an altered text, at the commit after it', 2, (body: string) => body.replace('"k"', '"x"'), 'HASH_MISMATCH', 4],
    ['an altered version', 2, (body: string) => body.replace('"version":2', '"version":7'), 'VERSION_OUT_OF_ORDER', 3],
    ['an altered hash', 2, (body: string) => body.replace(/"previous":"..../, '"previous":"AAAA'), 'HASH_MISMATCH', 3],
    ['a last commit that only a read model can tell', 4, (body: string) => body.replace('"k"', '"x"'), 'HEAD_DIFFERS', 5],
  ])('names %s', (_, index, change, code, sequence) => {
    const faults = audited(changed(messages, index, change), headsOf(messages));
    expect(faults).toEqual([expect.objectContaining({ code, sequence, tenant: 'acme', execution: 'e0' })]);
    expect(faults[0]?.message).toMatch(/backup|latest version/);
  });

  it('names a commit of an absurd version once, and goes on with those that follow it, or with those that do not', () => {
    const far = changed(messages, 2, (body) => body.replace('"version":2', '"version":5002').replace(/"previous":"..../, '"previous":"AAAA'));
    const stray = renumbered([...messages.slice(0, 2), far[2]!, ...messages.slice(2)]);
    expect(audited(stray)).toEqual([expect.objectContaining({ code: 'VERSION_GAP', sequence: 3, version: 2 })]);
    const { body } = far[2]!;
    const after = changed(far, 3, (text) => text.replace('"version":3', '"version":5003').replace(/"previous":"[^"]+/, `"previous":"${hashOf(body)}`));
    const last = changed(after, 4, (text) => text.replace('"version":4', '"version":5004').replace(/"previous":"[^"]+/, `"previous":"${hashOf(after[3]!.body)}`));
    expect(audited(last)).toEqual([expect.objectContaining({ code: 'VERSION_GAP', sequence: 3 })]);
  });

  it('names a message on a subject of no execution by itself', () => {
    const [first] = messages;
    const faults = audited([{ ...first!, subject: 'log.0.acme' }]);
    expect(faults).toEqual([expect.objectContaining({ code: 'COMMIT_UNREADABLE', tenant: null, execution: null })]);
  });

  it('names a commit under the subject of another execution', () => {
    const [first] = messages;
    expect(codes(audited([{ ...first!, subject: logSubject(refOf('thief')) }]))).toEqual(['HASH_MISMATCH']);
  });

  it('names sequences that are missing at the start, and at the end', () => {
    const late = messages.map((message) => ({ ...message, sequence: message.sequence + 3 }));
    expect(audited(late, undefined, late.length + 5)).toEqual([
      expect.objectContaining({ code: 'LOG_GAP', sequence: 1, message: expect.stringContaining('1 to 3') as string }),
      expect.objectContaining({ code: 'LOG_GAP', sequence: late.length + 4, message: expect.stringContaining(`${late.length + 4} to ${late.length + 5}`) as string }),
    ]);
  });

  it('lets sequences of others be missing where it is of one execution', () => {
    const audit = new Audit('execution');
    const own = new MemoryLog();
    messages.forEach(({ subject, body }) => own.write(subject, body));
    const faults = messages.filter(({ ref }) => ref.execution === 'e0').flatMap(({ sequence }) => audit.take(own.stored(sequence) as never));
    expect([...faults, ...audit.end(messages.length)]).toEqual([]);
  });

  it('names a read model that has left a commit out, and one that does not know an execution', () => {
    const { heads } = headsOf(messages.slice(0, 4));
    expect(audited(messages, { asOfSeq: 5, heads: heads.filter(({ execution }) => execution === 'e0') })).toEqual([
      expect.objectContaining({ code: 'HEAD_DIFFERS', sequence: 5, execution: 'e0' }),
      expect.objectContaining({ code: 'HEAD_MISSING', execution: 'e1' }),
    ]);
  });

  it('compares heads as they were, however far the log has grown since', () => {
    expect(audited(messages, { asOfSeq: 3, heads: headsOf(messages.slice(0, 3)).heads })).toEqual([]);
    expect(audited(messages, { asOfSeq: 1, heads: headsOf(messages.slice(0, 1)).heads })).toEqual([]);
  });
});

/** Logs of which some are deleted, as messages in order; of those the commits between the first `kept` and the tombstone are purged. */
const purged = fc
  .record({ logs: fc.array(generatedLogs, { minLength: 1, maxLength: 4 }), kept: fc.nat(3), at: fc.nat() })
  .map(({ logs, kept, at }) => {
    const context = { now: 0, cause: 'delete', actor: 'user:ada', correlationId: 'c' };
    const isOver = logs.map((log) => isTerminal(fold(initial, log.flat()).status));
    const all = interleaved(logs.map((log, i) => (isOver[i] ? [...log, decide({ type: 'DeleteExecution' }, fold(initial, log.flat()), context)] : log)));
    const isPurged = ({ ref, version }: Message): boolean => {
      const own = all.filter((other) => other.ref.execution === ref.execution);
      return isOver[Number(ref.execution.slice(1))] === true && version > kept && version < own.length;
    };
    return { all, left: all.filter((message) => !isPurged(message)), at };
  })
  .filter(({ all, left }) => left.length < all.length);

describe('the audit of a log with deletions', () => {
  it('finds nothing: what is missing is accounted for', () => {
    fc.assert(
      fc.property(purged, ({ all, left }) => {
        expect(audited(all, headsOf(all))).toEqual([]);
        expect(audited(left, headsOf(all))).toEqual([]);
      }),
    );
  });

  it('finds nothing where the read models have not come to the deletions', () => {
    fc.assert(
      fc.property(purged, ({ all, left, at }) => {
        const known = all.slice(0, 1 + (at % all.length));
        expect(audited(left, headsOf(known))).toEqual([]);
      }),
    );
  });

  it('names what was deleted besides', () => {
    fc.assert(
      fc.property(purged, ({ all, left, at }) => {
        const victim = left[at % left.length]!;
        fc.pre(laterOfSame(all, all.indexOf(victim)).length > 0 && !left.some((other) => other.ref.execution === victim.ref.execution && isTombstone(other)));
        const faults = audited(left.filter((message) => message !== victim), undefined, all.length);
        expect(codes(faults)).toEqual(['LOG_GAP', 'VERSION_GAP']);
      }),
    );
  });

  it('names a tombstone that is lost, by the holes that nothing accounts for any more', () => {
    fc.assert(
      fc.property(purged, ({ all, left }) => {
        const faults = audited(left.filter((message) => !isTombstone(message)), undefined, all.length);
        expect(new Set(codes(faults))).toEqual(new Set(['LOG_GAP']));
      }),
    );
  });

  it('names a tombstone whose version was altered, by the holes that it leaves over or wants', () => {
    const log = interleaved([life.map((command, i) => decide(command, stateAfter(i), clock))]);
    const [first] = log;
    const deletion = decide({ type: 'DeleteExecution' }, stateAfter(3), { ...clock, cause: 'd' });
    const tombstone = (version: number): Message => {
      const { body } = seal({ ...unborn(first!.ref), version: version - 1, hash: hashOf('whatever') }, deletion);
      return { sequence: 4, subject: first!.subject, body, ref: first!.ref, version };
    };
    expect(audited([tombstone(4)])).toEqual([]);
    expect(codes(audited([tombstone(3)]))).toEqual(['LOG_GAP']);
    expect(audited([tombstone(6)])).toMatchObject([{ code: 'LOG_GAP', message: expect.stringContaining('account for 2 messages more') as string }]);
    // Without a hole before it, it has to follow as any other.
    expect(codes(audited([first!, { ...tombstone(2), sequence: 2 }]))).toEqual(['HASH_MISMATCH']);
    expect(codes(audited([{ ...tombstone(1), sequence: 1 }]))).toEqual(['HASH_MISMATCH']);
  });

  it('names what stands behind a tombstone', () => {
    fc.assert(
      fc.property(purged, ({ all, left }) => {
        const last = left.findLast(isTombstone)!;
        const again = seal({ ...unborn(last.ref), version: last.version, hash: hashOf(last.body) }, decide(request([task('a')]), initial, clock));
        const faults = audited([...left, { ...last, sequence: all.length + 1, body: again.body, version: last.version + 1 }]);
        expect(faults).toMatchObject([{ code: 'EVENT_ILLEGAL', message: expect.stringContaining('nothing follows the deletion') as string }]);
      }),
    );
  });

  it('names a read model that has read past a deletion without knowing it', () => {
    fc.assert(
      fc.property(purged, ({ all, left }) => {
        const last = left.findLast(isTombstone)!;
        const before = all.findLast(({ ref, version }) => ref.execution === last.ref.execution && version === last.version - 1)!;
        const { heads } = headsOf(all);
        const known = { asOfSeq: all.length, heads: heads.map((head) => (head.execution === last.ref.execution ? { ...head, version: before.version, sequence: before.sequence, hash: hashOf(before.body) } : head)) };
        expect(audited(left, known)).toMatchObject([{ code: 'HEAD_DIFFERS', execution: last.ref.execution }]);
      }),
    );
  });
});

const clock = { now: 5, cause: 'c', actor: 'a', correlationId: 'c' };

const isTombstone = ({ body }: Message): boolean => new TextDecoder().decode(body).includes('"ExecutionDeleted"');

const life = [request([task('a')]), start('a'), succeed('a')];

/** After the first commands of a life. */
const stateAfter = (n: number): State => {
  let state = initial;
  for (const command of life.slice(0, n)) state = fold(state, decide(command, state, clock));
  return state;
};
