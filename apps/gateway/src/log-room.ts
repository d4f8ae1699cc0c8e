import type { LogInfo } from '#libs/jetstream';

const NEARLY = 0.85;
const EVERY_MS = 1_000;

/** Whether the log has room for new executions, known without asking at each of them. */
export class LogRoom {
  isNearlyFull = false;
  private readonly timer: NodeJS.Timeout;

  constructor(private readonly log: { info(): Promise<LogInfo> }) {
    this.timer = setInterval(() => void this.look(), EVERY_MS).unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private async look(): Promise<void> {
    try {
      const { bytes, maxBytes } = await this.log.info();
      this.isNearlyFull = maxBytes > 0 && bytes > maxBytes * NEARLY;
    } catch {
      // Unreachable is not full: the append itself says what is wrong.
    }
  }
}
