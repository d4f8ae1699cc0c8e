/** Own beats further apart than this, as heard back, mean that others' may have been missed too. */
const DEAF_MS = 2_500;
/** What the others may take to come back, after this process has, from where all were cut off. */
const RETURN_MS = 2_000;
const FORGET_MS = 86_400_000;

type PresenceOptions = {
  readonly self: string;
  /** Silence that counts as absence, in milliseconds. */
  readonly ttlMs: number;
  /** Milliseconds on a clock that nobody sets. */
  readonly now: () => number;
  /** Somebody came or went. */
  readonly changed: () => void;
};

type Known = {
  details: unknown;
  isLive: boolean;
  /** When it was heard last, on the clock of listening. */
  heardAt: number;
};

/** As long as own beats come back, no further apart than DEAF_MS; in milliseconds of `now`. What lies before `from` does not count. */
type Stretch = { readonly from: number; lastBeat: number };

/**
 * Who is there, by what one process hears. Silence is measured on a clock of listening, which runs only while this process hears its own beats and the others
 * have had the time to be back: it stands still for as long as nobody can say, and goes on where it stood. So an outage of any length takes nobody for dead,
 * and outages one after the other do not keep the dead alive: with each connection, all of its time but RETURN_MS and one beat counts.
 */
export class Presence {
  private readonly known = new Map<string, Known>();
  private listenedBefore = 0;
  private stretch: Stretch | undefined;
  private hasListened = false;

  constructor(private readonly options: PresenceOptions) {}

  live(): ReadonlyMap<string, unknown> {
    return new Map([...this.known].flatMap(([name, { details, isLive }]) => (isLive ? [[name, details] as const] : [])));
  }

  /** Milliseconds of listening that somebody has been absent; 0 while nobody can say. Who was never heard of is absent since this connection at most. */
  goneFor(name: string): number {
    const { ttlMs, now } = this.options;
    // Who was absent before may be back as well.
    if (!this.stretch || !this.isHearing || now() < this.stretch.from) return 0;
    const { isLive, heardAt } = this.known.get(name) ?? this.add(name, { details: undefined, isLive: false, heardAt: this.listenedBefore - ttlMs });
    return isLive ? 0 : Math.max(0, this.listened - heardAt - ttlMs);
  }

  /** A beat of somebody, or of this process itself that came back. */
  hear(name: string, details: unknown): void {
    if (name === this.options.self) this.hearSelf();
    const isNew = this.known.get(name)?.isLive !== true;
    this.known.set(name, { details, isLive: true, heardAt: this.listened });
    if (isNew) this.options.changed();
  }

  /** It says itself that it goes. */
  leaves(name: string): void {
    if (name === this.options.self || !this.known.get(name)?.isLive) return;
    this.lose(name, this.listened - this.options.ttlMs);
  }

  /** The connection is gone: nothing counts until the next own beat that comes back. */
  interrupted(): void {
    if (!this.stretch) return;
    this.listenedBefore = listenedIn(this.stretch, this.stretch.lastBeat, this.listenedBefore);
    this.stretch = undefined;
  }

  /** To be called some times within the time to live. */
  expire(): void {
    if (!this.isHearing) return;
    const { self, ttlMs } = this.options;
    for (const [name, { isLive, heardAt }] of this.known) {
      const silentFor = this.listened - heardAt;
      if (isLive && name !== self && silentFor >= ttlMs) this.lose(name, heardAt);
      else if (!isLive && silentFor > FORGET_MS) this.known.delete(name);
    }
  }

  private get isHearing(): boolean {
    return this.stretch !== undefined && this.options.now() - this.stretch.lastBeat < DEAF_MS;
  }

  /** Of what comes after the last own beat, only time counts that the next one proves. */
  private get listened(): number {
    const { stretch, listenedBefore } = this;
    return stretch ? listenedIn(stretch, this.isHearing ? this.options.now() : stretch.lastBeat, listenedBefore) : listenedBefore;
  }

  private hearSelf(): void {
    const now = this.options.now();
    if (!this.isHearing) this.interrupted();
    // Who joins has been told of all others, and has missed nobody.
    this.stretch ??= { from: now + (this.hasListened ? RETURN_MS : 0), lastBeat: now };
    this.stretch.lastBeat = now;
    this.hasListened = true;
  }

  private add(name: string, known: Known): Known {
    this.known.set(name, known);
    return known;
  }

  private lose(name: string, heardAt: number): void {
    this.known.set(name, { details: undefined, isLive: false, heardAt });
    this.options.changed();
  }
}

const listenedIn = ({ from }: Stretch, until: number, before: number): number => before + Math.max(0, until - from);
