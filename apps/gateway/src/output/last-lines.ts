import type { OutputLine } from '#libs/output';

/** Characters of those that are held: a line may have 16 Ki of them. */
export const MAX_TAIL_CHARACTERS = 8 * 1024 * 1024;

/** Of lines the last ones: so many, or those that fit the memory that there is for them. */
export class LastLines {
  private held: OutputLine[] = [];
  private first = 0;
  private characters = 0;
  /** True once it was given more than it holds. */
  isFull = false;

  constructor(
    private readonly most: number,
    private readonly mostCharacters: number = MAX_TAIL_CHARACTERS,
  ) {}

  add(line: OutputLine): void {
    this.held.push(line);
    this.characters += line.text.length;
    while (this.held.length - this.first > this.most || this.characters > this.mostCharacters) {
      this.characters -= this.held[this.first++]?.text.length ?? 0;
      this.isFull = true;
    }
    // What is no more shown is let go of now and then: at each line it would cost as much as all lines do.
    if (this.first < this.most && this.first < 1_000) return;
    this.held = this.held.slice(this.first);
    this.first = 0;
  }

  get lines(): readonly OutputLine[] {
    return this.held.slice(this.first);
  }
}
