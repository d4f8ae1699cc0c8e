import { type ExecutionRef, shardOf } from '#libs/contracts';
import type { Append, AppendResult, FollowHandler, Follower, HistoryRange, LogPurge, LogStore, Position, StoredCommit } from '#libs/ledger';
import type { CheckpointStore } from '../../apps/executor/src/checkpoint.js';
import type { Broker } from './broker.js';
import type { Network } from './network.js';
import type { Host } from './scheduler.js';
import type { Tell } from './trace.js';

/** The broker as one process reaches it over the network. */
export class Connection implements LogStore, LogPurge {
  constructor(
    private readonly host: Host,
    private readonly broker: Broker,
    private readonly network: Network,
    private readonly tell: Tell,
  ) {}

  append(append: Append): Promise<AppendResult> {
    const name = `append behind ${append.expected} of ${append.ref.execution}`;
    let result: AppendResult | undefined;
    const perform = async (): Promise<AppendResult> => (result = await this.broker.append(append));
    return this.network.write(this.host, perform, (fate) => {
      const conflict = result?.stored === false ? ', a conflict' : '';
      if (fate !== 'answered' || conflict) this.tell(this.host.name, () => `${name}: ${fate}${conflict}`);
    });
  }

  history(ref: ExecutionRef, range: HistoryRange = {}): Promise<readonly StoredCommit[]> {
    const behindMs = this.network.strikes() ? this.network.random.int(0, 1_000) : 0;
    return this.network.read(this.host, () => this.broker.history(ref, range, behindMs));
  }

  purge(ref: ExecutionRef, before: number): Promise<void> {
    return this.network.write(this.host, () => this.broker.purge(ref, before));
  }

  head(): Promise<Position> {
    return this.network.read(this.host, () => this.broker.head());
  }

  at(sequence: number): Promise<StoredCommit | undefined> {
    return this.network.read(this.host, () => this.broker.held.find((stored) => stored.sequence === sequence));
  }

  async follow(from: Position | undefined, handler: FollowHandler, shards?: readonly number[]): Promise<Follower> {
    const target = await this.network.read(this.host, () => this.broker.all.length);
    return new SimulatedFollower(from?.sequence ?? 0, target, handler, shards && new Set(shards), this.host, this.broker, this.network);
  }

  /** Most calls of it happen at once: there are 64 of them for one checkpoint. */
  get checkpoints(): CheckpointStore {
    const { host, broker, network } = this;
    const isPlain = (): boolean => network.isConnected(host) && !network.random.chance(network.storm / 16);
    return {
      get: (key) => (isPlain() ? Promise.resolve(broker.getCheckpoint(key)) : network.read(host, () => broker.getCheckpoint(key))),
      put: (key, value) => {
        const json = JSON.stringify(value);
        const perform = (): Promise<void> => Promise.resolve(broker.putCheckpoint(key, json));
        return isPlain() ? perform() : network.write(host, perform);
      },
    };
  }
}

/** Delivers in order, in batches of any size, late, and now and then what was delivered already. */
class SimulatedFollower implements Follower {
  private stopped = false;
  private isScheduled = false;
  private toldCaughtUp = false;
  private handling: Promise<void> = Promise.resolve();
  private readonly unwatch: () => void;

  constructor(
    public delivered: number,
    private readonly target: number,
    private readonly handler: FollowHandler,
    private readonly shards: ReadonlySet<number> | undefined,
    private readonly host: Host,
    private readonly broker: Broker,
    private readonly network: Network,
  ) {
    this.unwatch = broker.watch(() => this.schedule());
    this.schedule();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.unwatch();
    await this.handling;
  }

  private schedule(delayMs = this.network.latency()): void {
    if (this.isScheduled || this.stopped) return;
    this.isScheduled = true;
    this.network.scheduler.after(delayMs, this.host, () => {
      this.handling = this.deliver();
    });
  }

  private async deliver(): Promise<void> {
    const { broker, network, host } = this;
    let retryMs: number | undefined;
    try {
      if (!this.stopped && network.isConnected(host)) await this.hand();
      else retryMs = 250;
    } catch {
      retryMs = 250;
    }
    this.isScheduled = false;
    if (retryMs !== undefined || this.delivered < broker.all.length) this.schedule(retryMs);
  }

  private async hand(): Promise<void> {
    const { broker, network, handler } = this;
    const again = network.strikes() ? network.random.int(1, 4) : 0;
    const first = Math.max(0, this.delivered - again);
    // What was delivered before is followed by all that came after it.
    const last = network.strikes() ? network.random.int(this.delivered, broker.all.length) : broker.all.length;
    const isWanted = (stored: StoredCommit): boolean => broker.isHeld(stored) && (this.shards?.has(shardOf(stored.ref.execution)) ?? true);
    const batch = broker.all.slice(first, last).filter(isWanted);
    if (batch.length > 0) await handler.commits(batch);
    this.delivered = Math.max(this.delivered, last);
    handler.reached?.(this.delivered);
    if (this.toldCaughtUp || this.delivered < this.target) return;
    this.toldCaughtUp = true;
    handler.caughtUp?.();
  }
}
