/**
 * Finds all of many patterns in one pass over bytes, whatever their number (Aho and Corasick, 1975). A state is a node of the patterns'
 * trie; 0, its root, knows nothing. About 17 bytes of memory for each byte of the patterns.
 */
export class Automaton {
  readonly #root = new Int32Array(256);
  readonly #child: Int32Array;
  readonly #sibling: Int32Array;
  readonly #byte: Uint8Array;
  readonly #fallback: Int32Array;
  /** Of the state: how many of the last bytes may be the beginning of a pattern. */
  readonly depth: Int32Array;
  /** Of the state: the length of the longest pattern that ends here; 0 where none does. */
  readonly match: Int32Array;
  #states = 1;

  /** Patterns must not be empty. */
  constructor(patterns: readonly Uint8Array[]) {
    const size = patterns.reduce((sum, { length }) => sum + length, 1);
    this.#child = new Int32Array(size);
    this.#sibling = new Int32Array(size);
    this.#byte = new Uint8Array(size);
    this.#fallback = new Int32Array(size);
    this.depth = new Int32Array(size);
    this.match = new Int32Array(size);
    for (const pattern of patterns) this.#add(pattern);
    this.#link();
  }

  step(from: number, byte: number): number {
    for (let state = from; state !== 0; state = this.#fallback[state]!) {
      const next = this.#next(state, byte);
      if (next !== 0) return next;
    }
    return this.#root[byte]!;
  }

  /** 0 where the trie does not go on. */
  #next(state: number, byte: number): number {
    if (state === 0) return this.#root[byte]!;
    let next = this.#child[state]!;
    while (next !== 0 && this.#byte[next] !== byte) next = this.#sibling[next]!;
    return next;
  }

  #add(pattern: Uint8Array): void {
    let state = 0;
    for (const byte of pattern) state = this.#next(state, byte) || this.#grow(state, byte);
    this.match[state] = pattern.length;
  }

  #grow(parent: number, byte: number): number {
    const state = this.#states++;
    this.#byte[state] = byte;
    this.depth[state] = this.depth[parent]! + 1;
    if (parent === 0) {
      this.#root[byte] = state;
    } else {
      this.#sibling[state] = this.#child[parent]!;
      this.#child[parent] = state;
    }
    return state;
  }

  /** Level by level: what a state falls back to lies nearer to the root. */
  #link(): void {
    const queue = [...this.#root].filter((state) => state !== 0);
    for (let at = 0; at < queue.length; at++) {
      const state = queue[at]!;
      for (let next = this.#child[state]!; next !== 0; next = this.#sibling[next]!) {
        this.#fallback[next] = this.step(this.#fallback[state]!, this.#byte[next]!);
        this.match[next] ||= this.match[this.#fallback[next]!]!;
        queue.push(next);
      }
    }
  }
}
