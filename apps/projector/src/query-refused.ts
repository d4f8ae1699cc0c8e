/** A query that can't be answered: it, not the projector, is at fault, or came too early. The asker gets code and message. */
export class QueryRefused extends Error {
  override readonly name = 'QueryRefused';

  constructor(
    readonly code: 'CURSOR_INVALID' | 'PROJECTION_BEHIND' | 'PROJECTION_UNKNOWN',
    message: string,
  ) {
    super(message);
  }
}
