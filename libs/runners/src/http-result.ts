import { StringDecoder } from 'node:string_decoder';
import type { Json, JsonObject } from '#libs/contracts';
import type { Redaction } from '#libs/secrets';
import type { Reply } from './http-exchange.js';

/** Of a whole result as JSON: what an executor puts into the log. A longer answer is cut rather than refused there. */
const MAX_RESULT_BYTES = 32 * 1024;
const MAX_HEADER_LENGTH = 2 * 1024;
const MAX_JSON_DEPTH = 64;

/** `{ status, headers: { content-type, location }, body, truncated, durationMs }`, 32 KiB at most as JSON. */
export function httpResult({ status, headers, body: bytes, truncated: cut }: Reply, durationMs: number, redaction?: Redaction): JsonObject {
  // Before they are cut.
  const [type, location] = [headers['content-type'], headers.location].map((value) => value && (redaction?.text(value) ?? value));
  const frame = {
    status,
    headers: {
      ...(type !== undefined && { 'content-type': type.slice(0, MAX_HEADER_LENGTH) }),
      ...(location !== undefined && { location: location.slice(0, MAX_HEADER_LENGTH) }),
    },
    body: '',
    truncated: false,
    durationMs,
  };
  const room = MAX_RESULT_BYTES - jsonBytes(frame);
  // A character that the cut went through is left out; any other invalid byte is replaced.
  const text = cut ? new StringDecoder('utf8').write(bytes) : bytes.toString();
  const parsed = cut ? undefined : jsonIn(text, type);
  // Once more: JSON may escape any character of a text.
  const json = parsed === undefined || !redaction ? parsed : redaction.json(parsed);
  if (json !== undefined && jsonBytes(json) <= room) return { ...frame, body: json };
  const body = fitting(text, room);
  return { ...frame, body, truncated: cut || body.length < text.length };
}

const jsonBytes = (value: Json): number => Buffer.byteLength(JSON.stringify(value));

/** The value where the answer says it is JSON and it can be read as such. */
function jsonIn(text: string, type = ''): Json | undefined {
  if (!/^application\/(?:[\w.+-]+\+)?json\b/i.test(type)) return undefined;
  try {
    const value = JSON.parse(text) as Json;
    return isWithinDepth(value, MAX_JSON_DEPTH) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** What is nested deeper can overflow the stack of whoever writes it down. */
function isWithinDepth(value: Json, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return depth > 0 && Object.values(value).every((inner: Json) => isWithinDepth(inner, depth - 1));
}

/** The longest beginning that takes no more than `room` bytes as JSON, where quotes and controls take several. */
function fitting(text: string, room: number): string {
  if (jsonBytes(text) <= room) return text;
  let fits = 0;
  let tooLong = text.length;
  while (tooLong - fits > 1) {
    const middle = (fits + tooLong) >> 1;
    if (jsonBytes(text.slice(0, middle)) <= room) fits = middle;
    else tooLong = middle;
  }
  return text.slice(0, fits).replace(/[\ud800-\udbff]$/, '');
}
