import type { Why } from '#libs/projections';
import { BULK } from '#libs/contracts';
import type { Clients } from './clients.js';
import { isPurged } from './deletion-judgement.js';
import type { Following } from './history.js';

/** How long anything may take once nothing goes wrong any more and nobody keeps it paused. */
const ENDS_WITHIN_MS = 90_000;
const ASKED_AT_ONCE = 8;

/** Asks what executions wait for, and sees everything to its end. */
export class Settling {
  whys = 0;

  constructor(
    private readonly following: Following,
    private readonly clients: Clients,
    private readonly violated: (what: string) => void,
  ) {}

  /** Whatever has not ended can say what it waits for, at any time that anybody can be asked. */
  async askWhy(ids: readonly string[] = this.someAccepted()): Promise<void> {
    for (const id of ids) {
      const reply = await this.clients.gateways.read(`/api/v1/executions/${id}/why`);
      if (reply?.status !== 200) continue;
      const { total, ended, status } = reply.body as unknown as Why;
      this.whys += 1;
      if (!ended && total === 0) this.violated(`${id} is ${status} and waits for nothing: ${JSON.stringify(reply.body)}`);
    }
  }

  /** Resolves once clients know all that they wanted to know, everything has ended, and what is deleted, or whose time is over, is gone. */
  async untilEnded(): Promise<void> {
    const { following, clients } = this;
    let deadline = Date.now() + ENDS_WITHIN_MS;
    let isFinished = false;
    const finished = clients.finish().then(() => (isFinished = true));
    const resumed = new Set<string>();
    for (;;) {
      await following.readOn();
      const open = this.open();
      if (isFinished && open.length === 0 && this.expiring().length === 0 && isPurged(following, await following.held())) return;
      if (Date.now() > deadline) return await this.tellStuck(isFinished, open);
      await this.askWhy(open.slice(0, ASKED_AT_ONCE));
      for (const id of isFinished ? this.toResume(open) : []) {
        if (resumed.has(id)) continue;
        resumed.add(id);
        deadline = Date.now() + ENDS_WITHIN_MS;
        await clients.ask(id, { type: 'ResumeExecution' }, `at-last-${id}`);
      }
      await Promise.race([finished, new Promise((resolve) => setTimeout(resolve, 500))]);
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }

  private someAccepted(): readonly string[] {
    return this.clients.accepted.slice(-3 * ASKED_AT_ONCE).filter(() => Math.random() < 1 / 3);
  }

  private open(): readonly string[] {
    return [...this.following.models].flatMap(([id, { hasEnded }]) => (hasEnded ? [] : [id]));
  }

  private expiring(): readonly string[] {
    return [...this.following.models].flatMap(([id, { isExpiring }]) => (isExpiring ? [id] : []));
  }

  /** While a bulk operation goes on it may pause others again. */
  private toResume(open: readonly string[]): readonly string[] {
    const { models } = this.following;
    const bulk = open.filter((id) => models.get(id)?.tasks.has(BULK));
    return (bulk.length > 0 ? bulk : open).filter((id) => models.get(id)?.status === 'paused');
  }

  private async tellStuck(isFinished: boolean, open: readonly string[]): Promise<void> {
    const { following, clients } = this;
    if (!isFinished) this.violated('a client has not been told what became of its request');
    for (const id of open) {
      const why = await clients.gateways.read(`/api/v1/executions/${id}/why`);
      this.violated(`${id} is stuck, ${following.models.get(id)?.status}: ${JSON.stringify(why?.body)}`);
    }
    for (const id of this.expiring()) this.violated(`${id} has artifacts that have not expired`);
    if (!isPurged(following, await following.held())) this.violated('the log does not hold all that was in it but what is deleted, and nothing else');
  }
}
