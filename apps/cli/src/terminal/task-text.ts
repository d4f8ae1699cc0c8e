import { StringDecoder } from 'node:string_decoder';
import { harmless } from '#libs/contracts';
import { type Chunk, bytesOf } from '../executions-api.js';
import { type Screen } from './screen.js';

/** A line of a task for this screen: a person's terminal obeys none of it, a file or a pipe gets what was written. */
export const shownOn = (screen: Screen, line: string): string => (screen.isTerminal ? harmless(line.replace(/\r$/, '')) : line);

/** Output of one task as it was written, save for what a terminal would obey. */
export class TaskText {
  private readonly decoders = new Map<string, StringDecoder>();

  write(screen: Screen, chunk: Chunk): void {
    if (!screen.isTerminal) return screen.write(bytesOf(chunk));
    const key = `${chunk.attempt}/${chunk.stream}`;
    const decoder = this.decoders.get(key) ?? new StringDecoder('utf8');
    this.decoders.set(key, decoder);
    const lines = decoder.write(bytesOf(chunk)).split('\n');
    screen.write(lines.map((line) => shownOn(screen, line)).join('\n'));
  }
}
