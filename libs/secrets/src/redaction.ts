import type { Json } from '#libs/contracts';
import { Automaton } from './automaton.js';
import { visibleForms } from './visible-forms.js';

const MASK = Buffer.from('***');
const NOTHING = Buffer.alloc(0);

type Span = { start: number; end: number };

/**
 * Replaces secrets in bytes that come in pieces, cut anywhere. What may be the beginning of a secret is held back until it is known;
 * everything else passes at once. Any way of cutting gives the same bytes.
 */
class RedactingStream {
  #state = 0;
  #held: Buffer = NOTHING;
  /** Parts of secrets in what is held, in order and apart; positions count from its start. */
  #spans: Span[] = [];
  /** The last byte handed out was part of a secret, whose mask is written. */
  #isMasked = false;

  constructor(private readonly automaton: Automaton) {}

  write(piece: Uint8Array): Buffer {
    const from = this.#held.length;
    const bytes = from === 0 ? Buffer.from(piece.buffer, piece.byteOffset, piece.length) : Buffer.concat([this.#held, piece]);
    const { automaton } = this;
    let state = this.#state;
    for (let at = from; at < bytes.length; at++) {
      state = automaton.step(state, bytes[at]!);
      if (automaton.match[state] !== 0) this.#cover(at + 1 - automaton.match[state]!, at + 1);
    }
    this.#state = state;
    return this.#handOut(bytes, bytes.length - automaton.depth[state]!);
  }

  /** What was held back: the end has come, and it is no secret. */
  end(): Buffer {
    this.#state = 0;
    return this.#handOut(this.#held, this.#held.length);
  }

  /** What ends later may begin earlier: spans that it reaches into become one with it. */
  #cover(start: number, end: number): void {
    const span = { start, end };
    for (let last = this.#spans.at(-1); last && last.end >= span.start; last = this.#spans.at(-1)) {
      span.start = Math.min(span.start, last.start);
      this.#spans.pop();
    }
    this.#spans.push(span);
  }

  #handOut(bytes: Buffer, upTo: number): Buffer {
    // A copy would cost more, but an empty part would keep the whole alive.
    this.#held = upTo < bytes.length ? bytes.subarray(upTo) : NOTHING;
    if (upTo === 0) return NOTHING;
    const parts: Buffer[] = [];
    let at = 0;
    for (const { start, end } of this.#spans) {
      if (start >= upTo) break;
      if (start > at) parts.push(bytes.subarray(at, start));
      if (start > 0 || !this.#isMasked) parts.push(MASK);
      at = Math.min(end, upTo);
    }
    this.#isMasked = this.#spans.some(({ start, end }) => start < upTo && end >= upTo);
    if (at < upTo) parts.push(bytes.subarray(at, upTo));
    this.#spans = this.#spans
      .filter(({ end }) => end > upTo)
      .map(({ start, end }) => ({ start: Math.max(0, start - upTo), end: end - upTo }));
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }
}

/** Knows the secrets of one attempt, to keep them out of whatever it says. */
export class Redaction {
  readonly #automaton: Automaton;

  constructor(secrets: Iterable<string>) {
    this.#automaton = new Automaton([...secrets].flatMap(visibleForms));
  }

  /** For one stream of bytes from its start to its end. */
  stream(): RedactingStream {
    return new RedactingStream(this.#automaton);
  }

  bytes(bytes: Uint8Array): Buffer {
    const stream = this.stream();
    return Buffer.concat([stream.write(bytes), stream.end()]);
  }

  text(text: string): string {
    const before = Buffer.from(text);
    const after = this.bytes(before);
    return after.equals(before) ? text : after.toString();
  }

  /** Every text in JSON from outside, keys included. */
  json(value: Json): Json {
    return this.#each(value, (key) => this.text(key));
  }

  /** Every text in JSON whose keys are our own: a secret may be spelled like one. */
  texts<T extends Json>(value: T): T {
    return this.#each(value, (key) => key) as T;
  }

  #each(value: Json, keyOf: (key: string) => string): Json {
    if (typeof value === 'string') return this.text(value);
    if (Array.isArray(value)) return (value as readonly Json[]).map((item) => this.#each(item, keyOf));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [keyOf(key), this.#each(member as Json, keyOf)]));
  }
}
