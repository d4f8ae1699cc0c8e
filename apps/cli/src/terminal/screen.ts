import { styleText } from 'node:util';

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';

type Stream = {
  write(text: string | Uint8Array): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  hasColors?(): boolean;
};

/** Standard output or error. Colours only where a person looks, and NO_COLOR is not set. */
export class Screen {
  private readonly colours: boolean;

  constructor(private readonly stream: Stream) {
    this.colours = stream.isTTY === true && stream.hasColors?.() === true;
  }

  get isTerminal(): boolean {
    return this.stream.isTTY === true;
  }

  /** Characters in a line; undefined where it goes to no terminal. */
  get width(): number | undefined {
    // A terminal that does not say how wide it is says 0.
    return (this.stream.isTTY === true && this.stream.columns) || undefined;
  }

  write(text: string | Uint8Array): void {
    this.stream.write(text);
  }

  line(text = ''): void {
    this.stream.write(`${text}\n`);
  }

  json(value: unknown): void {
    this.line(JSON.stringify(value));
  }

  paint(style: Style | undefined, text: string): string {
    return this.colours && style !== undefined && text !== '' ? styleText(style, text, { validateStream: false }) : text;
  }
}

/** Text from elsewhere, without what would steer a terminal. */
// oxlint-disable-next-line no-control-regex
export const printable = (text: string): string => text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ');
