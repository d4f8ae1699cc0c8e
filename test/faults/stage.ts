import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '#libs/testing';
import { Platform } from '../chaos/platform.js';
import type { Victim } from '../chaos/victim.js';

export type Event = { readonly type: string; readonly position: string; readonly data: { readonly taskId?: string; readonly attempt?: number; readonly executor?: string; readonly error?: { readonly code: string } } };

/** Within which anything happens that is to happen, on a machine that does other things, too. */
const PATIENT = { timeoutMs: 60_000 } as const;

/** A gateway, two executors, a projector and a broker, each a process of its own, and commands that end when the test says so. */
export class Stage {
  private readonly incarnations = new Map<string, string>();
  private readonly platform = new Platform({
    endedByItself: (victim, how) => this.ends.push(`${victim}: ${how}`),
    executorReady: (victim, incarnation) => void this.incarnations.set(incarnation, victim),
  });
  /** Processes that ended and were not asked to. */
  readonly ends: string[] = [];

  async start(): Promise<void> {
    await this.platform.start({ gateways: 1, executors: 2 });
    await eventually(() => this.incarnations.size === 2, { ...PATIENT, what: 'two executors' });
  }

  async stop(): Promise<void> {
    await this.platform.stop(false);
  }

  get broker(): Victim {
    return this.platform.victims[0]!;
  }

  /** A command that notes its start, runs until `release` lets it, and tells which attempt it was. */
  held(name: string): object {
    const script = `echo $RUNLEDGER_ATTEMPT >> starts.${name}; until [ -e go.${name} ] || [ -e go.${name}.$RUNLEDGER_ATTEMPT ]; do sleep 0.1; done`;
    return { id: 'held', runner: 'command', input: { shell: 'sh', script, cwd: this.platform.effects } };
  }

  /** Lets all attempts go, or one. */
  release(name: string, attempt?: number): void {
    appendFileSync(join(this.platform.effects, attempt === undefined ? `go.${name}` : `go.${name}.${attempt}`), '');
  }

  /** Attempts of it that have begun, each once for every time. */
  startsOf(name: string): readonly number[] {
    const file = join(this.platform.effects, `starts.${name}`);
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').map(Number) : [];
  }

  async untilStarted(name: string, attempt: number): Promise<void> {
    await eventually(() => this.startsOf(name).includes(attempt), { ...PATIENT, what: `attempt ${attempt} of ${name}` });
  }

  async request(name: string, tasks: readonly object[]): Promise<string> {
    return String((await this.post('', { plan: { name, tasks } }))['id']);
  }

  async post(path: string, body: unknown = {}): Promise<Record<string, unknown>> {
    const answer = await fetch(`${this.platform.urls[0]}/api/v1/executions${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as Record<string, unknown>;
  }

  async events(id: string): Promise<readonly Event[]> {
    const answer = await fetch(`${this.platform.urls[0]}/api/v1/executions/${id}/events?limit=1000`);
    return answer.ok ? ((await answer.json()) as { events: readonly Event[] }).events : [];
  }

  async until(id: string, type: string, where: (event: Event) => boolean = () => true): Promise<Event> {
    return await eventually(async () => (await this.events(id)).find((event) => event.type === type && where(event)), { ...PATIENT, what: `${type} of ${id}` });
  }

  /** The process that runs, or ran, an attempt of `held`. */
  async executorOf(id: string, attempt: number): Promise<Victim> {
    const started = await this.until(id, 'TaskStarted', ({ data }) => data.taskId === 'held' && data.attempt === attempt);
    const found = this.executors.find(({ name }) => name === this.incarnations.get(started.data.executor ?? ''));
    if (!found) throw new Error(`no executor ${started.data.executor}`);
    return found;
  }

  get executors(): readonly Victim[] {
    return this.platform.victims.filter(({ kind }) => kind === 'executor');
  }

  /** How often it has been told which shards are its own. */
  assignmentsOf({ name }: Victim): number {
    return this.platform.logOf(name).split('shards assigned').length - 1;
  }

  /** Processes of commands. */
  commands(): readonly string[] {
    return this.platform.others().map(({ command }) => command).filter((command) => command.includes('starts.'));
  }
}
