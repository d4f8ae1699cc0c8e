/** A fault in a plan. `path` is a JSON pointer from the plan, such as `/tasks/3/dependsOn/0`. */
export type PlanProblem = { readonly path: string; readonly message: string };

const MAX_PROBLEMS = 20;
const MAX_DEPTH = 64;
/** Values of JSON in the input of one task, and of all tasks of a plan. */
const MAX_VALUES = { input: 50_000, plan: 250_000 } as const;

// oxlint-disable-next-line no-control-regex
const unprintable = /[\u0000-\u001f\u007f]|\p{Surrogate}/u;

export type Fields = { readonly [key: string]: unknown };

export const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
export const at = (path: string, key: string | number): string => `${path}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;

/** What is wrong with one plan, at most 20 faults, and the checks of single values that find it. */
export class PlanFaults {
  readonly problems: PlanProblem[] = [];
  private readonly values = { input: 0, plan: 0 };

  get any(): boolean {
    return this.problems.length > 0;
  }

  add(path: string, message: string): void {
    if (this.problems.length < MAX_PROBLEMS) this.problems.push({ path, message });
  }

  only(path: string, fields: Fields, known: readonly string[]): void {
    for (const key of Object.keys(fields)) {
      if (!known.includes(key)) this.add(at(path, key.slice(0, 64)), `unknown field; known are ${known.join(', ')}`);
    }
  }

  integer(path: string, value: unknown, min: number, max: number): void {
    if (value === undefined) return;
    if (!Number.isInteger(value) || Number(value) < min || Number(value) > max) {
      this.add(path, `must be an integer from ${min} to ${max}`);
    }
  }

  oneOf(path: string, value: unknown, known: readonly string[]): void {
    if (value !== undefined && !known.includes(value as string)) this.add(path, `must be one of ${known.join(', ')}`);
  }

  text(path: string, value: unknown, max: number): void {
    if (typeof value !== 'string' || value.length === 0 || value.length > max || unprintable.test(value)) {
      this.add(path, `must be text of 1 to ${max} printable characters`);
    }
  }

  /** To be called before the input of each task: it has a bound of its own. */
  nextInput(): void {
    this.values.input = 0;
  }

  /** Bounds depth and number of values, so that folding, hashing and sending them stays cheap, and refuses broken text. */
  json(path: string, value: unknown, depth = 0): void {
    this.values.input += 1;
    this.values.plan += 1;
    if (this.any) return;
    for (const whole of ['input', 'plan'] as const) {
      if (this.values[whole] > MAX_VALUES[whole]) return this.add(path, `more than ${MAX_VALUES[whole]} values in one ${whole}`);
    }
    if (depth > MAX_DEPTH) return this.add(path, `nested deeper than ${MAX_DEPTH} levels`);
    if (typeof value === 'string' && /\p{Surrogate}/u.test(value)) return this.add(path, 'holds half a character (a lone surrogate)');
    if (typeof value === 'number' && !Number.isFinite(value)) return this.add(path, 'must be a finite number');
    if (typeof value !== 'object' || value === null) return;
    for (const [key, member] of Object.entries(value)) {
      if (key === '__proto__') return this.add(at(path, key), 'this key is not allowed');
      this.json(at(path, key), member, depth + 1);
    }
  }
}
