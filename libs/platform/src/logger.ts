import type { LoggerService } from '@nestjs/common';
import { type DestinationStream, type Logger, pino } from 'pino';

/** What a terminal may obey, or be misled by, and JSON leaves as it is: DEL, C1 controls, line separators, marks of direction. */
const obeyed = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

const escaped = (line: string): string => line.replace(obeyed, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** JSON lines on standard output, one per message; `app` says whose. Whoever's text is in them, a terminal shows it and does nothing. */
export const createLogger = (app: string, level: string, destination?: DestinationStream): Logger =>
  pino({ level, base: { app, pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime, hooks: { streamWrite: escaped } }, destination ?? pino.destination(1));

/** What Nest itself has to say, in the same lines. */
export class NestLogger implements LoggerService {
  constructor(private readonly logger: Logger) {}

  log(message: unknown, context?: string): void {
    this.logger.debug({ context }, String(message));
  }

  error(message: unknown, stack?: string, context?: string): void {
    this.logger.error({ context, stack }, String(message));
  }

  warn(message: unknown, context?: string): void {
    this.logger.warn({ context }, String(message));
  }

  debug(message: unknown, context?: string): void {
    this.logger.debug({ context }, String(message));
  }
}

export type { Logger };
