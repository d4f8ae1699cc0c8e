/**
 * An immutable map that grows, kept in maps of which each is larger than the one before it: an entry more costs a copy of few others on
 * average, however many there are, and who had the map without it keeps that.
 */
export class GrowingMap<V> {
  private constructor(
    private readonly entries: ReadonlyMap<string, V>,
    private readonly older: GrowingMap<V> | undefined,
  ) {}

  static of<V>(entries: Iterable<readonly [string, V]> = []): GrowingMap<V> {
    return new GrowingMap(new Map(entries), undefined);
  }

  /** With these, each in the place of the one that had its key before. */
  plus(added: Iterable<readonly [string, V]>): GrowingMap<V> {
    const newer = new Map(added);
    return newer.size === 0 ? this : this.under(newer);
  }

  get(key: string): V | undefined {
    return this.entries.get(key) ?? this.older?.get(key);
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  private under(newer: ReadonlyMap<string, V>): GrowingMap<V> {
    if (this.entries.size === 0) return new GrowingMap(newer, undefined);
    if (this.entries.size > newer.size) return new GrowingMap(newer, this);
    const entries = new Map([...this.entries, ...newer]);
    return this.older?.under(entries) ?? new GrowingMap(entries, undefined);
  }
}
