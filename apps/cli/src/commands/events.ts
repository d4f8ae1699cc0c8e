import { EXIT, type ExitCode } from '../exit-codes.js';
import { type ReadEvent, readEvents } from '../executions-api.js';
import { follow } from '../follow.js';
import { type ClientOptions, type Session, interruptible } from '../session.js';
import { eventLine } from '../terminal/event-line.js';
import { clock } from '../terminal/format.js';
import type { Screen } from '../terminal/screen.js';
import { type Cell, heading, printTable } from '../terminal/table.js';

export type EventsOptions = ClientOptions & { readonly follow?: boolean };

const row = (event: ReadEvent): readonly Cell[] => {
  const { subject, text, style } = eventLine(event, '-');
  return [event.position, clock(event.at), event.type, subject, { text, style }];
};

/** Widths that fit what is yet to come. */
const line = (out: Screen, event: ReadEvent): void => {
  const { subject, text, style } = eventLine(event, '-');
  out.line(`${event.position.padEnd(10)}  ${clock(event.at)}  ${event.type.padEnd(24)}  ${subject}  ${out.paint(style, text)}`);
};

export const events = async ({ api, out, err, json }: Session, id: string, options: EventsOptions): Promise<ExitCode> => {
  if (options.follow === true) {
    await interruptible(
      () => `${id} goes on; come back to it with: runledger events ${id} --follow`,
      (signal) =>
        follow(api, id, {
          signal,
          output: undefined,
          trouble: (message) => err.line(`runledger: ${message}`),
          take: (news) => {
            for (const item of news) {
              if (!('type' in item)) continue;
              if (json) out.json(item);
              else line(out, item);
            }
          },
        }),
    );
    return EXIT.ok;
  }
  const all = await readEvents(api, id, '0/0');
  if (json) out.json({ events: all });
  else printTable(out, [heading('POSITION', 'TIME', 'EVENT', 'TASK', 'WHAT'), ...all.map(row)]);
  return EXIT.ok;
};
