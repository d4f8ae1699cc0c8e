import type { Event } from '#libs/contracts';
import type { Attempt, Outcome, Runner } from '#libs/runners';
import type { Broker } from './broker.js';
import type { Random } from './random.js';
import type { Host, Scheduler } from './scheduler.js';
import type { Tell } from './trace.js';

/** One time that a task did what it does to the world. */
export type Effect = {
  readonly id: number;
  readonly host: Host;
  readonly execution: string;
  readonly taskId: string;
  readonly attempt: number;
  isRunning: boolean;
};

type Around = {
  readonly scheduler: Scheduler;
  readonly broker: Broker;
  readonly random: Random;
  readonly tell: Tell;
  readonly violated: (what: string) => void;
};

type Started = Extract<Event, { readonly type: 'TaskStarted' }>;

const aborted: Outcome = { ok: false, error: { code: 'COMMAND_ABORTED', message: 'aborted', retryable: false } };
const failure = (retryable: boolean): Outcome => ({ ok: false, error: { code: retryable ? 'BUSY' : 'BROKEN', message: 'as drawn', retryable } });

/** Tasks with side effects, all that they ever did, and whether they were allowed to. */
export class Effects {
  readonly all: Effect[] = [];

  constructor(private readonly around: Around) {}

  runner(host: Host): Runner {
    return { name: 'work', sideEffects: true, check: () => [], run: (attempt) => this.run(host, attempt) };
  }

  /** What a process has running dies with it. */
  die(host: Host): void {
    for (const effect of this.all) if (effect.host === host) effect.isRunning = false;
  }

  /** `<execution>/<task>/<attempt>` of each time. */
  private run(host: Host, attempt: Attempt): Promise<Outcome> {
    const { random, scheduler, tell } = this.around;
    const { ref, taskId, attempt: number, input } = attempt;
    const effect: Effect = { id: this.all.length + 1, host, execution: ref.execution, taskId, attempt: number, isRunning: true };
    const name = `${ref.execution} ${taskId}/${number}`;
    this.judge(effect, name);
    this.all.push(effect);
    tell(host.name, () => `runs ${name}`);
    const fate = random.weighted({ succeeds: 16, 'fails for now': 4, 'fails for good': 1, throws: 1, hangs: input['mayHang'] === true ? 4 : 0 });
    const tookMs = random.pick([0, 1, 20, 200, random.int(200, 3_000)]);
    if (random.chance(0.2)) scheduler.after(random.int(0, tookMs), host, () => effect.isRunning && attempt.step({ kind: 'started', name: 'half', metadata: {} }));
    return new Promise((resolve, reject) => {
      const end = (how: string, settle: () => void): void => {
        if (!effect.isRunning) return;
        effect.isRunning = false;
        tell(host.name, () => `${name} ${how}`);
        settle();
      };
      if (fate !== 'hangs') {
        scheduler.after(tookMs, host, () =>
          end(fate, () => {
            if (fate === 'throws') reject(new Error('as drawn'));
            else resolve(fate === 'succeeds' ? { ok: true, result: { effect: effect.id } } : failure(fate === 'fails for now'));
          }),
        );
      }
      attempt.signal.addEventListener('abort', () => scheduler.after(random.pick([0, 0, 5, 700]), host, () => end('was aborted', () => resolve(aborted))));
    });
  }

  private judge({ host, execution, taskId, attempt }: Effect, name: string): void {
    const { broker, violated } = this.around;
    const events = broker.all.filter(({ ref }) => ref.execution === execution).flatMap(({ commit }) => commit.events);
    const isThis = (event: Event): event is Started =>
      event.type === 'TaskStarted' && event.data.taskId === taskId && event.data.attempt === attempt;
    const started = events.find(isThis);
    if (!started) violated(`${name} runs before its start is in the log`);
    else if (started.data.executor !== host.name) violated(`${name} runs on ${host.name}, and is ${started.data.executor}'s`);
    const former = this.all.filter((other) => other.execution === execution && other.taskId === taskId);
    if (former.some((other) => other.attempt === attempt)) violated(`${name} runs twice`);
    for (const other of former) {
      if (!other.isRunning) continue;
      if (other.host === host) violated(`${name} runs beside attempt ${other.attempt} in the same process`);
      // In another process, the earlier of both may not know yet that it was given up.
      const earlier = Math.min(attempt, other.attempt);
      const isGivenUp = events.some(({ type, data }) => (type === 'TaskFailed' || type === 'TaskTimedOut') && data.taskId === taskId && data.attempt === earlier);
      if (!isGivenUp) violated(`${name} runs beside attempt ${other.attempt}, and neither was given up`);
    }
  }
}
