import type { ClientCommand } from '#libs/execution';
import type { Answer } from '../simulation/client.js';
import { ArtifactClient } from './artifact-client.js';
import { type Around, Gateways, type Reply, pause, toldBy } from './gateways.js';
import type { Ask, Askable, BulkPlay, Play, Successor } from './program.js';

const TENANT = 'default';

/** What a dry run has answered, of what was asked. */
export type DryRun = { readonly key: string; readonly action: BulkPlay['action']; readonly filter: BulkFilter; readonly byStatus: Readonly<Record<string, number>>; readonly asOfSeq: number };

export type BulkFilter = { readonly labels: Readonly<Record<string, string>>; readonly until: string };

/** Clients that name each request with a key and send it again until they have been told what became of it. */
export class Clients {
  readonly answers: Answer[] = [];
  readonly dryRuns: DryRun[] = [];
  readonly gateways: Gateways;
  readonly artifacts: ArtifactClient;
  private readonly playing: Promise<void>[] = [];

  constructor(private readonly around: Around) {
    this.gateways = new Gateways(around);
    this.artifacts = new ArtifactClient(this.gateways, around);
  }

  /** Executions whose acceptance has been heard of. */
  get accepted(): readonly string[] {
    return this.answers.flatMap(({ ref, command, told }) => (command.type === 'RequestExecution' && told === 'applied' ? [ref.execution] : []));
  }

  play(play: Play): void {
    this.goOn(this.follow(play));
  }

  playBulk(play: BulkPlay): void {
    this.goOn(this.askInBulk(play));
  }

  /** Resolves when every client knows all that it wanted to know. */
  async finish(): Promise<void> {
    for (let known = 0; known < this.playing.length; ) {
      known = this.playing.length;
      await Promise.all(this.playing);
    }
  }

  async ask(execution: string, command: Askable, key: string): Promise<Reply> {
    const answer: Answer = { ref: { tenant: TENANT, execution }, command, cause: key, told: undefined };
    this.answers.push(answer);
    const [method, path, json] = requestOf(command);
    const reply = await this.gateways.send({ method, path: `/api/v1/executions/${execution}${path}`, key, ...(json && { json }) });
    answer.told = toldBy(reply);
    this.around.tell(`${command.type} of ${execution} (${key}): ${answer.told}`);
    return reply;
  }

  private goOn(playing: Promise<void>): void {
    this.playing.push(playing.catch((error: unknown) => this.around.violated(`a client broke: ${String(error)}`)));
  }

  private async follow({ key, plan, labels, asks, uploads, successor, deletion }: Play): Promise<void> {
    const command: ClientCommand = { type: 'RequestExecution', plan, name: plan.name, labels, input: {}, dialect: 'canonical' };
    const request = { path: '/api/v1/executions', key, json: { plan, labels } };
    const reply = await this.gateways.send(request);
    const execution = this.isRequested(reply, command, key);
    if (execution === undefined) return this.around.violated(`${key} was not accepted: ${JSON.stringify(reply.body)}`);
    // Beside all else: what takes long keeps nothing waiting.
    for (const [index, upload] of uploads.entries()) this.goOn(this.artifacts.upload(execution, `${key}-file-${index + 1}`, upload));
    for (const [index, ask] of asks.entries()) await this.askFor(execution, ask, `${key}-${index + 1}`);
    if (successor) await this.carryOn(execution, command, successor, `${key}-on`);
    for (const [index, afterMs] of deletion.entries()) {
      await pause(afterMs);
      const { status } = await this.ask(execution, { type: 'DeleteExecution' }, `${key}-delete-${index + 1}`);
      if (status >= 300) continue;
      // What is gone is not born again by its own key.
      const again = await this.gateways.send(request);
      if (again.status !== 410) this.around.violated(`${key} is deleted, and was answered ${again.status}: ${JSON.stringify(again.body)}`);
      return;
    }
  }

  /** The execution that was asked for, if it was accepted. */
  private isRequested(reply: Reply, command: ClientCommand, key: string): string | undefined {
    const isAccepted = reply.status === 202;
    const execution = isAccepted ? String(reply.body['id']) : '';
    const told = isAccepted ? 'applied' : String(reply.body['code']);
    this.answers.push({ ref: { tenant: TENANT, execution }, command, cause: key, told });
    this.around.tell(`RequestExecution ${execution} (${key}): ${told}`);
    return isAccepted ? execution : undefined;
  }

  /** Asks for another execution that goes on with one, soon after that one was asked for: while it runs, that may be refused. */
  private async carryOn(execution: string, command: ClientCommand & { readonly type: 'RequestExecution' }, how: Successor, key: string): Promise<void> {
    await pause(this.around.random.int(0, 4_000));
    const json = how === 'rerun' ? { fromTask: command.plan.tasks[0]!.id } : {};
    this.isRequested(await this.gateways.send({ path: `/api/v1/executions/${execution}/${how}`, key, json }), command, key);
  }

  private async askFor(execution: string, { afterMs, command, isDoubled }: Ask, key: string): Promise<void> {
    await pause(afterMs);
    const replies = await Promise.all(Array.from({ length: isDoubled ? 2 : 1 }, () => this.ask(execution, command, key)));
    const [first, second] = replies.map(({ status, body }) => `${status} at ${String(body['sequence'])}`);
    if (second === undefined || first === second) return;
    // What left nothing behind is judged anew each time.
    if (replies.every(({ status, body }) => status < 300 && body['changed'] === true)) this.around.violated(`${key} of ${execution} was answered ${first}, and ${second}`);
  }

  /** Of what was requested so long ago, so that it is known beforehand what that may be; first as a dry run. */
  private async askInBulk({ key, action, labels, olderMs, ratePerSecond, isDry, asks }: BulkPlay): Promise<void> {
    const filter = { labels, until: new Date(Date.now() - olderMs).toISOString() };
    const json = { filter, ratePerSecond };
    const path = `/api/v1/bulk/${action}`;
    const { status, body } = await this.gateways.send({ path, key: `${key}-dry`, json: { ...json, dryRun: true } });
    this.around.tell(`a dry run of bulk ${action} (${key}): ${JSON.stringify(body['byStatus'] ?? body)} as of ${String(body['asOfSeq'])}`);
    if (status !== 200) return this.around.violated(`a dry run was answered ${status}: ${JSON.stringify(body)}`);
    this.dryRuns.push({ key: `${key}-dry`, action, filter, byStatus: body['byStatus'] as DryRun['byStatus'], asOfSeq: Number(body['asOfSeq']) });
    if (isDry) return;
    const command: ClientCommand = { type: 'RequestExecution', plan: { name: `bulk ${action}`, tasks: [] }, name: `bulk ${action}`, labels: {}, input: {}, dialect: 'canonical' };
    const reply = await this.gateways.send({ path, key, json });
    const execution = this.isRequested(reply, command, key);
    if (execution === undefined) return this.around.violated(`${key} was not accepted: ${JSON.stringify(reply.body)}`);
    for (const [index, ask] of asks.entries()) await this.askFor(execution, ask, `${key}-${index + 1}`);
  }
}

const requestOf = (command: Askable): readonly [method: 'POST' | 'DELETE', path: string, json?: object] => {
  switch (command.type) {
    case 'PauseExecution':
      return ['POST', '/pause', {}];
    case 'ResumeExecution':
      return ['POST', '/resume', {}];
    case 'CancelExecution':
      return ['POST', '/cancel', { mode: command.mode }];
    case 'SendSignal':
      return ['POST', `/signals/${command.name}`, { payload: command.payload }];
    case 'RespondToClarification':
      return ['POST', `/clarifications/${command.taskId}/respond`, { decision: command.decision }];
    case 'DeleteExecution':
      return ['DELETE', ''];
  }
};
