import { InvalidArgumentError } from 'commander';
import { isToken, parseTime } from '#libs/contracts';

export const url = (text: string): string => {
  if (/^https?:$/.test(URL.canParse(text) ? new URL(text).protocol : '')) return text;
  throw new InvalidArgumentError('It is no http address; write http://host:port.');
};

/** An execution, task or tenant. */
export const token = (text: string): string => {
  if (isToken(text)) return text;
  throw new InvalidArgumentError('An id has 1 to 64 of A-Z, a-z, 0-9, _ and -.');
};

export const tokens = (text: string, before: readonly string[] = []): readonly string[] => [...before, token(text)];

export const label = (text: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> => {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('A label is key=value.');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
};

export const several = (text: string, before: readonly string[] = []): readonly string[] => [...before, ...text.split(',')];

/** One of the known, after those given before. */
export const listOf =
  <T extends string>(known: readonly T[]) =>
  (text: string, before: readonly T[] = []): readonly T[] => {
    const found = known.find((one) => one === text);
    if (found !== undefined) return [...before, found];
    throw new InvalidArgumentError(`It is one of ${known.join(', ')}.`);
  };

export const integer =
  (min: number, max: number) =>
  (text: string): number => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be an integer from ${min} to ${max}.`);
  };

export const time = (text: string): string => {
  if (parseTime(text) !== undefined) return text;
  throw new InvalidArgumentError('A time is RFC 3339 with its zone, such as 2026-11-20T12:00:00Z.');
};

export const jsonObject = (text: string): object => {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Told below.
  }
  throw new InvalidArgumentError('It is no JSON object, such as {"version":"1.2"}.');
};

/** A log sequence or a time. */
export const moment = (text: string): string => (/^\d{1,15}$/.test(text) ? text : time(text));
