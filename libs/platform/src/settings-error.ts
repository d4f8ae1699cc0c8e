/** A setting that can't be used; the message names it, what is wrong and what would do. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
  readonly code = 'SETTING_INVALID';
}
