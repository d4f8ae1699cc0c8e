/** Why an expression has no value. The message says where; it never quotes a value. */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError';
  readonly code = 'EXPRESSION_FAILED';
  readonly retryable = false;
}
