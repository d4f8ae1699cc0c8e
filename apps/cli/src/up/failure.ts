/** Why Runledger can't be brought up: what is wrong and what to do. */
export class UpFailure extends Error {
  override readonly name = 'UpFailure';
}
