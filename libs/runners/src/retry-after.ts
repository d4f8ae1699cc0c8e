import type { IncomingHttpHeaders } from 'node:http';

/**
 * Milliseconds that a Retry-After asks for (RFC 9110, 10.2.3), undefined where there is none that can be understood. A date counts by
 * the clock of whoever wrote it, where the answer tells that; else by `now`, in milliseconds since the epoch.
 */
export function retryAfter({ 'retry-after': value, date }: IncomingHttpHeaders, now: number): number | undefined {
  const text = value?.trim() ?? '';
  if (/^\d{1,10}$/.test(text)) return Number(text) * 1_000;
  const at = dateIn(text);
  return at === undefined ? undefined : Math.max(0, at - (dateIn(date ?? '') ?? now));
}

/** Only what says its weekday: Date.parse makes dates of much else. */
function dateIn(text: string): number | undefined {
  const ms = /^[A-Z][a-z]{2,8}, /.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(ms) ? undefined : ms;
}
