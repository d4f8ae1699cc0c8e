import type { ExecutionRef } from '#libs/contracts';
import { type ClientCommand, Refused } from '#libs/execution';
import { type Append, type AppendResult, LogError, type LogStore, submit } from '#libs/ledger';
import type { Broker } from './broker.js';
import { Connection } from './connection.js';
import type { Network } from './network.js';
import type { Random } from './random.js';
import { Host } from './scheduler.js';
import type { Tell } from './trace.js';

/** A command and what its client was told at last: `applied` when it changed something, `satisfied`, or the code of a refusal. */
export type Answer = { readonly ref: ExecutionRef; readonly command: ClientCommand; readonly cause: string; told: string | undefined };

/** Clients and the gateway between them and the log. Who is told that the outcome is unknown asks again, with the same key. */
export class Client {
  readonly answers: Answer[] = [];
  private readonly host = new Host('client');
  private readonly connection: Connection;

  constructor(
    private readonly random: Random,
    private readonly network: Network,
    broker: Broker,
    private readonly tell: Tell,
  ) {
    this.connection = new Connection(this.host, broker, network, tell);
  }

  get isWaiting(): boolean {
    return this.answers.some(({ told }) => told === undefined);
  }

  send(ref: ExecutionRef, command: ClientCommand, cause: string, appends = Infinity): void {
    const answer: Answer = { ref, command, cause, told: undefined };
    this.answers.push(answer);
    this.tell('client', () => `asks: ${describe(command)} ${ref.execution}`);
    void this.trySend(answer, appends);
  }

  /** The connection of one that is killed behind so many appends. */
  private until(appends: number): LogStore {
    let left = appends;
    const append = (next: Append): Promise<AppendResult> => {
      left -= 1;
      return left < 0 ? Promise.reject(new LogError('LOG_UNAVAILABLE', 'who asked was killed')) : this.connection.append(next);
    };
    return Object.assign(Object.create(this.connection) as LogStore, { append });
  }

  private async trySend(answer: Answer, appends: number): Promise<void> {
    const { ref, command, cause } = answer;
    const { scheduler } = this.network;
    try {
      const { events } = await submit(this.until(appends), ref, command, { now: scheduler.now, cause, actor: 'client', correlationId: cause });
      answer.told = events.length > 0 ? 'applied' : 'satisfied';
    } catch (error) {
      if (error instanceof LogError && error.retryable && appends === Infinity) {
        scheduler.after(this.random.int(50, 1_000), this.host, () => void this.trySend(answer, appends));
        return;
      }
      answer.told = error instanceof Refused ? error.code : String(error);
    }
    this.tell('client', () => `is told: ${describe(command)} ${ref.execution} is ${answer.told}`);
  }
}

const describe = (command: ClientCommand): string => (command.type === 'CancelExecution' ? `${command.mode} ${command.type}` : command.type);
