import type { ExecutionRef } from '#libs/contracts';
import type { Frame } from './frame.js';

type Labels = Readonly<Record<string, string>>;

const KNOWN_MAX = 20_000;
const nameOf = ({ tenant, execution }: ExecutionRef): string => `${tenant}/${execution}`;

/** Labels of executions, which only their first event carries. They never change. */
export class ExecutionLabels {
  private readonly known = new Map<string, Labels>();

  constructor(private readonly read: (ref: ExecutionRef) => Promise<Labels | undefined>) {}

  note({ ref, type, labels }: Frame): void {
    if (type === 'ExecutionRequested' && labels) this.keep(nameOf(ref), labels);
  }

  /** Resolves once all of them have theirs; an execution that is no longer there has none. Throws LogError. */
  async learn(frames: readonly Frame[]): Promise<void> {
    const asked = new Map<string, Promise<Labels>>();
    await Promise.all(
      frames.map(async (frame) => {
        if (frame.labels) return;
        const name = nameOf(frame.ref);
        const known = this.known.get(name);
        const asking = asked.get(name) ?? (known ? Promise.resolve(known) : this.read(frame.ref).then((labels = {}) => labels));
        asked.set(name, asking);
        frame.labels = await asking;
        if (!known) this.keep(name, frame.labels);
      }),
    );
  }

  private keep(name: string, labels: Labels): void {
    const [oldest] = this.known.keys();
    if (this.known.size >= KNOWN_MAX && oldest !== undefined) this.known.delete(oldest);
    this.known.set(name, labels);
  }
}
