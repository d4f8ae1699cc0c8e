import type { Readable } from 'node:stream';
import type { Api } from './api.js';

/** The server says each 15 s that it is there: who says nothing for longer is gone, whether or not the connection knows. */
const SILENCE_MS = 40_000;
/** Until a stream that was refused, because there are too many, say, is asked for again. */
const REFUSED_MS = 5_000;

/**
 * Tells that there may be something new of an execution, by its stream of events: whatever comes there, a heartbeat too, means that it
 * is worth looking. What has happened is then read from the log, which is whole also where the stream breaks, or stands still.
 */
export class ChangeSignal {
  private body: Readable | undefined;
  private isConnecting = false;
  private refusedAt: number | undefined;
  private hasNews = false;
  private wake: () => void = () => undefined;
  private readonly closed = new AbortController();

  constructor(
    private readonly api: Pick<Api, 'download'>,
    private readonly path: string,
  ) {}

  /** False: nobody tells at the moment, look by yourself. */
  get isLive(): boolean {
    return this.body !== undefined;
  }

  /** Whether something came since the last call. */
  taken(): boolean {
    const { hasNews } = this;
    this.hasNews = false;
    return hasNews;
  }

  /** Tells of what comes behind the position from now on; does nothing while it does already. */
  open(after: string): void {
    if (this.body || this.isConnecting || this.closed.signal.aborted) return;
    if (this.refusedAt !== undefined && Date.now() - this.refusedAt < REFUSED_MS) return;
    this.isConnecting = true;
    void this.listen(after).finally(() => (this.isConnecting = false));
  }

  /** Resolves with the next news, when the stream comes or goes, after `mostMs`, or when the signal is aborted. */
  async wait(mostMs: number | undefined, signal: AbortSignal): Promise<void> {
    if (this.hasNews || signal.aborted) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.wake = resolve;
      signal.addEventListener('abort', this.wake);
      if (mostMs !== undefined) timer = setTimeout(resolve, mostMs);
    });
    clearTimeout(timer);
    signal.removeEventListener('abort', this.wake);
  }

  close(): void {
    this.closed.abort();
    this.body?.destroy();
  }

  private async listen(after: string): Promise<void> {
    try {
      const body = await this.api.download(this.path, { after }, this.closed.signal);
      this.refusedAt = undefined;
      this.body = body;
      const silence = setTimeout(() => body.destroy(), SILENCE_MS);
      body.on('error', () => undefined);
      body.on('data', () => {
        silence.refresh();
        this.hasNews = true;
        this.wake();
      });
      body.once('close', () => {
        clearTimeout(silence);
        this.body = undefined;
        this.wake();
      });
      if (this.closed.signal.aborted) body.destroy();
    } catch {
      // Why it can't be had is said by the next look, where that can't be had either.
      this.refusedAt = Date.now();
    }
    this.wake();
  }
}
