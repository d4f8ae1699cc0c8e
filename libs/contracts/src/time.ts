const rfc3339 = /^(\d{4})-(\d\d)-(\d\d)T\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/** Milliseconds since the epoch of an RFC 3339 time with its zone; undefined for what is none. */
export const parseTime = (text: string): number | undefined => {
  const [, year, month, day] = rfc3339.exec(text) ?? [];
  const ms = Date.parse(text);
  if (year === undefined || Number.isNaN(ms)) return undefined;
  // Date.parse alone takes 30 February for 2 March.
  const isDay = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day))).getUTCDate() === Number(day);
  return isDay ? ms : undefined;
};
