import { childIds } from '#libs/execution';
import { type Chunk, type ReadEvent, bytesOf } from '../executions-api.js';
import { eventLine } from './event-line.js';
import { clock, duration } from './format.js';
import { OutputLines } from './output-lines.js';
import { type Screen, printable } from './screen.js';
import { TaskText } from './task-text.js';

/**
 * An execution as it goes: what happens on standard error, its output on standard output. A plan of one task writes its bytes
 * as they are (but nothing that a terminal would obey to one), on the stream that the task wrote them on; with more tasks each line says whose it is.
 */
export class Progress {
  private name: string;
  private width = 0;
  private lines: OutputLines | undefined;
  private readonly startedAt = new Map<string, number>();
  private readonly text = new TaskText();
  private atLineStart = true;

  constructor(
    private readonly out: Screen,
    private readonly err: Screen,
    id: string,
  ) {
    this.name = id;
  }

  take(news: readonly (ReadEvent | Chunk)[]): void {
    for (const item of news) {
      if ('type' in item) this.event(item);
      else this.output(item);
    }
  }

  private event(event: ReadEvent): void {
    if (event.type === 'ExecutionRequested') this.learn(event.data.plan.tasks.map(({ id }) => id), event.data.name);
    if (event.type === 'ExecutionPlanExtended') this.widen(event.data.tasks.map(({ id }) => id));
    if (event.type === 'TaskExpanded') this.widen(childIds(event.data));
    if (event.type === 'ExecutionStarted') this.startedAt.set('', Date.parse(event.at));
    if (event.type === 'TaskStarted') this.startedAt.set(event.data.taskId, Date.parse(event.at));
    // The next step, or the end of the task, tells as much.
    if (event.type === 'StepCompleted') return;
    const ended = endedOf(event);
    if (ended !== undefined) this.lines?.flush(ended === '' ? undefined : ended);
    const started = ended === undefined ? undefined : this.startedAt.get(ended);
    const after = started === undefined ? '' : ` after ${duration(Date.parse(event.at) - started)}`;
    const { subject, text, style } = eventLine(event, this.name);
    // A last line without an end would swallow this one.
    if (!this.atLineStart) this.err.line();
    this.atLineStart = true;
    const { err } = this;
    err.line(`${err.paint('dim', clock(event.at))}  ${subject.padEnd(this.width)}  ${err.paint(style, text)}${err.paint('dim', after)}`);
  }

  private learn(tasks: readonly string[], name: string): void {
    this.name = printable(name);
    this.width = Math.max(Math.min(this.name.length, 40), ...tasks.map((id) => id.length));
    if (tasks.length > 1) this.widen(tasks);
  }

  /** There is output of more than one task from here on. */
  private widen(tasks: readonly string[]): void {
    this.lines ??= new OutputLines(this.out, this.err, 0);
    this.lines.nameWidth = Math.max(this.lines.nameWidth, ...tasks.map((id) => id.length));
    this.width = Math.max(this.width, this.lines.nameWidth);
  }

  private output(chunk: Chunk): void {
    if (this.lines) return this.lines.take(chunk);
    const bytes = bytesOf(chunk);
    this.text.write(chunk.stream === 'stderr' ? this.err : this.out, chunk);
    if (this.out.isTerminal && this.err.isTerminal) this.atLineStart = bytes[bytes.length - 1] === 0x0a;
  }
}

/** What has ended with the event: a task, '' for the execution. */
const endedOf = (event: ReadEvent): string | undefined => {
  if (/^Execution(Completed|Failed|Cancelled)$/.test(event.type)) return '';
  return /^Task(Completed|Failed|TimedOut|Cancelled)$/.test(event.type) && 'taskId' in event.data ? event.data.taskId : undefined;
};
