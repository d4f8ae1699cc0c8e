import { EXIT, type ExitCode } from './exit-codes.js';

/** Why a command can't go on: the message says what, why and what to do. */
export class CliError extends Error {
  override readonly name = 'CliError';

  constructor(
    readonly exit: ExitCode,
    /** Stable; the server's own where it refused. */
    readonly code: string,
    message: string,
    /** The server's whole answer, for --json. */
    readonly problem?: object,
  ) {
    super(message);
  }
}

export const misuse = (message: string): CliError => new CliError(EXIT.misuse, 'MISUSE', message);
