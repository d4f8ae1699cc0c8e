import type { ClientCommand } from '#libs/execution';
import type { Answer } from '../simulation/client.js';
import type { Random } from '../simulation/random.js';
import type { Ask, Askable, Play, Successor } from './program.js';

type Reply = { readonly status: number; readonly body: Readonly<Record<string, unknown>> };
type Around = {
  readonly urls: readonly string[];
  readonly random: Random;
  readonly tell: (what: string) => void;
  readonly violated: (what: string) => void;
};

const TENANT = 'default';
/** Longer than a gateway may wait for a broker that does not answer; one that is paused answers nothing at all. */
const ANSWER_WITHIN_MS = 12_000;

/** Clients that name each request with a key and send it again, to whatever gateway, until they have been told what became of it. */
export class Clients {
  readonly answers: Answer[] = [];
  retries = 0;
  private readonly playing: Promise<void>[] = [];

  constructor(private readonly around: Around) {}

  /** Executions whose acceptance has been heard of. */
  get accepted(): readonly string[] {
    return this.answers.flatMap(({ ref, command, told }) => (command.type === 'RequestExecution' && told === 'applied' ? [ref.execution] : []));
  }

  play(play: Play): void {
    this.playing.push(this.follow(play).catch((error: unknown) => this.around.violated(`a client broke: ${String(error)}`)));
  }

  /** Resolves when every client knows all that it wanted to know. */
  async finish(): Promise<void> {
    await Promise.all(this.playing);
  }

  /** Undefined where no gateway has a say in the matter now. */
  async read(path: string): Promise<Reply | undefined> {
    const url = this.around.random.pick(this.around.urls);
    return await fetched(`${url}${path}`, { method: 'GET' }).catch(() => undefined);
  }

  async ask(execution: string, command: Askable, key: string): Promise<Reply> {
    const answer: Answer = { ref: { tenant: TENANT, execution }, command, cause: key, told: undefined };
    this.answers.push(answer);
    const [path, body] = requestOf(command);
    const reply = await this.send(`/api/v1/executions/${execution}${path}`, body, key);
    answer.told = reply.status < 300 ? (reply.body['changed'] === false ? 'satisfied' : 'applied') : String(reply.body['code']);
    this.around.tell(`${command.type} of ${execution} (${key}): ${answer.told}`);
    return reply;
  }

  private async follow({ key, plan, asks, successor }: Play): Promise<void> {
    const reply = await this.send('/api/v1/executions', { plan }, key);
    const execution = String(reply.body['id']);
    const command: ClientCommand = { type: 'RequestExecution', plan, name: plan.name, labels: {}, input: {}, dialect: 'canonical' };
    const told = reply.status === 202 ? 'applied' : String(reply.body['code']);
    this.answers.push({ ref: { tenant: TENANT, execution }, command, cause: key, told });
    this.around.tell(`RequestExecution ${execution} (${key}): ${told}`);
    if (told !== 'applied') return this.around.violated(`${key} was not accepted: ${JSON.stringify(reply.body)}`);
    for (const [index, ask] of asks.entries()) await this.askFor(execution, ask, `${key}-${index + 1}`);
    if (successor) await this.carryOn(execution, command, successor, `${key}-on`);
  }

  /** Asks for another execution that goes on with one, soon after that one was asked for: while it runs, that may be refused. */
  private async carryOn(execution: string, command: ClientCommand & { readonly type: 'RequestExecution' }, how: Successor, key: string): Promise<void> {
    await pause(this.around.random.int(0, 4_000));
    const body = how === 'rerun' ? { fromTask: command.plan.tasks[0]!.id } : {};
    const { status, body: said } = await this.send(`/api/v1/executions/${execution}/${how}`, body, key);
    const told = status === 202 ? 'applied' : String(said['code']);
    this.around.tell(`${how} of ${execution} (${key}): ${told}`);
    this.answers.push({ ref: { tenant: TENANT, execution: status === 202 ? String(said['id']) : '' }, command, cause: key, told });
  }

  private async askFor(execution: string, { afterMs, command, isDoubled }: Ask, key: string): Promise<void> {
    await pause(afterMs);
    const replies = await Promise.all(Array.from({ length: isDoubled ? 2 : 1 }, () => this.ask(execution, command, key)));
    const [first, second] = replies.map(({ status, body }) => `${status} at ${String(body['sequence'])}`);
    if (second === undefined || first === second) return;
    // What left nothing behind is judged anew each time.
    if (replies.every(({ status, body }) => status < 300 && body['changed'] === true)) this.around.violated(`${key} of ${execution} was answered ${first}, and ${second}`);
  }

  private async send(path: string, body: object, key: string): Promise<Reply> {
    for (;;) {
      const url = this.around.random.pick(this.around.urls);
      const headers = { 'content-type': 'application/json', 'idempotency-key': key };
      const reply = await fetched(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) }).catch((error: unknown) => String(error));
      if (typeof reply !== 'string' && reply.status < 500 && reply.status !== 429) return reply;
      this.retries += 1;
      this.around.tell(`${key} again, as ${url} said: ${typeof reply === 'string' ? reply : `${reply.status} ${String(reply.body['code'])}`}`);
      await pause(this.around.random.int(50, 500));
    }
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms).unref());

const fetched = async (url: string, init: RequestInit): Promise<Reply> => {
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
  return { status: response.status, body: (await response.json()) as Reply['body'] };
};

const requestOf = (command: Askable): readonly [path: string, body: object] => {
  switch (command.type) {
    case 'PauseExecution':
      return ['/pause', {}];
    case 'ResumeExecution':
      return ['/resume', {}];
    case 'CancelExecution':
      return ['/cancel', { mode: command.mode }];
    case 'SendSignal':
      return [`/signals/${command.name}`, { payload: command.payload }];
    case 'RespondToClarification':
      return [`/clarifications/${command.taskId}/respond`, { decision: command.decision }];
  }
};
