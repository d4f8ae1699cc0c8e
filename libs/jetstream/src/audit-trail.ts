import { headers } from '@nats-io/transport-node';
import { type AuditRecord, auditSubject } from '#libs/contracts';
import { toAnswer } from './codes.js';
import type { Nats } from './connection.js';

const WAITING_MAX = 10_000;
const AT_ONCE = 256;
const TIMEOUT_MS = 5_000;
const PAUSE_MS = 250;
const STOP_WITHIN_MS = 3_000;
const REPORT_AFTER_MS = 1_000;

type Outcome = 'kept' | 'again' | 'lost';

/**
 * Writes to stream AUDIT without making anybody wait: records go out as fast as the broker takes them, and wait in memory, at most
 * 10,000, while it does not. Each is stored once, unless that takes longer than a minute. What is lost is said by an alarm.
 */
export class AuditTrail {
  private waiting: AuditRecord[] = [];
  private working: Promise<void> | undefined;
  private stopAt = Infinity;
  private lost = 0;
  private why = '';
  private reporting: NodeJS.Timeout | undefined;

  constructor(
    private readonly nats: Nats,
    private readonly alarm: (message: string) => void,
  ) {}

  /** Never throws. */
  add(record: AuditRecord): void {
    if (this.waiting.length >= WAITING_MAX) return this.lose(1, `${WAITING_MAX} wait for the broker already`);
    this.waiting.push(record);
    this.working ??= this.work();
  }

  /** Resolves once everything is stored, or 3 s have gone by; what is left then is lost. */
  async stop(): Promise<void> {
    this.stopAt = Date.now() + STOP_WITHIN_MS;
    await this.working;
    if (this.waiting.length > 0) this.lose(this.waiting.length, 'the gateway stopped while the broker did not take them');
    this.waiting = [];
    if (this.reporting) this.report();
  }

  private async work(): Promise<void> {
    while (this.waiting.length > 0 && Date.now() < this.stopAt) {
      const records = this.waiting.slice(0, AT_ONCE);
      const outcomes = await Promise.all(records.map((record) => this.publish(record)));
      const again = records.filter((_, index) => outcomes[index] === 'again');
      this.waiting.splice(0, records.length, ...again);
      if (again.length > 0) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    this.working = undefined;
  }

  private async publish(record: AuditRecord): Promise<Outcome> {
    const all = headers();
    all.set('Nats-Msg-Id', record.id);
    const timeout = Math.min(TIMEOUT_MS, Math.max(1, this.stopAt - Date.now()));
    const answer = toAnswer(await this.nats.replies.request(auditSubject(record.tenant), JSON.stringify(record), timeout, all));
    if (typeof answer === 'string') return 'again';
    if (answer.error === undefined) return 'kept';
    this.lose(1, answer.error.description ?? 'the broker refused them');
    return 'lost';
  }

  private lose(count: number, why: string): void {
    this.lost += count;
    this.why = why;
    this.reporting ??= setTimeout(() => this.report(), REPORT_AFTER_MS).unref();
  }

  private report(): void {
    clearTimeout(this.reporting);
    this.reporting = undefined;
    this.alarm(`${this.lost} audit records are lost: ${this.why}`);
    this.lost = 0;
  }
}
