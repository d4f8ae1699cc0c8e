import { CliError } from './cli-error.js';
import { EXIT } from './exit-codes.js';

/** How long the server may be away in the middle of it all. */
const MOST_MS = 60_000;

/** Bears a server that is away for a while, and says so once each time. */
export class Patience {
  private awaySince: number | undefined;

  constructor(private readonly trouble: (message: string) => void) {}

  /** Throws the error again where it is no absence, or has lasted too long. */
  bear(error: unknown): void {
    if (!(error instanceof CliError) || error.exit !== EXIT.unavailable) throw error;
    if (this.awaySince === undefined) this.trouble(`${error.message}; trying again`);
    this.awaySince ??= Date.now();
    if (Date.now() - this.awaySince > MOST_MS) throw error;
  }

  restored(): void {
    this.awaySince = undefined;
  }
}
