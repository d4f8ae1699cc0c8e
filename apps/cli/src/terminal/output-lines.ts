import { StringDecoder } from 'node:string_decoder';
import { type Chunk, bytesOf } from '../executions-api.js';
import { type Screen } from './screen.js';
import { shownOn } from './task-text.js';

/** Characters of a line; a longer one goes on in the next. */
const MAX_LINE = 16 * 1024;

/** Output of several tasks, line by line behind the task's name; a line is printed once it is whole. */
export class OutputLines {
  private readonly open = new Map<string, { readonly decoder: StringDecoder; readonly chunk: Chunk; text: string }>();

  constructor(
    private readonly out: Screen,
    private readonly err: Screen,
    /** Characters of the longest name. */
    public nameWidth: number,
  ) {}

  take(chunk: Chunk): void {
    const key = `${chunk.task}/${chunk.attempt}/${chunk.stream}`;
    const line = this.open.get(key) ?? { decoder: new StringDecoder('utf8'), chunk, text: '' };
    this.open.set(key, line);
    line.text += line.decoder.write(bytesOf(chunk));
    const lines = line.text.split('\n');
    line.text = lines.pop() ?? '';
    for (const whole of lines) this.print(chunk, whole);
    if (line.text.length > MAX_LINE) {
      this.print(chunk, `${line.text}…`);
      line.text = '';
    }
    if (chunk.truncated) this.print(chunk, '… more was written than is kept');
  }

  /** Prints what has no end of line, of one task or of all. */
  flush(task?: string): void {
    for (const [key, { chunk, text, decoder }] of this.open) {
      if (task !== undefined && chunk.task !== task) continue;
      const rest = text + decoder.end();
      if (rest !== '') this.print(chunk, rest);
      this.open.delete(key);
    }
  }

  private print({ task, stream }: Chunk, line: string): void {
    const screen = stream === 'stderr' ? this.err : this.out;
    screen.line(`${screen.paint('dim', `${task.padEnd(this.nameWidth)} |`)} ${shownOn(screen, line)}`);
  }
}
