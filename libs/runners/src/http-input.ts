import type { Json } from '#libs/contracts';
import type { InputProblem } from './runner.js';
import { anything, fields, type InputCheck, integer, listOf, mapOf, oneOf, secretCount, secretOr, text, type ValueCheck } from './input.js';

export const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;
export type Method = (typeof methods)[number];

export const MAX_RESPONSE_BYTES = 32 * 1024;

/** What an http task asks for. */
export type HttpInput = {
  readonly url: string;
  /** Default GET. */
  readonly method?: Method;
  readonly headers?: Readonly<Record<string, string>>;
  /** A string is sent as it is (text/plain), anything else as JSON, unless a content-type says otherwise. */
  readonly body?: Json;
  /** Default 200 to 299. A redirect status named here is an answer and not followed. */
  readonly expectStatus?: readonly number[];
  /** How much of the answer's body is kept; default and most 32 KiB, which the whole result has to fit in. */
  readonly maxResponseBytes?: number;
};

/** They frame the message or choose the server, and so are not the plan's to set. */
const reserved = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

const headerName = (name: string): string | undefined => {
  if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/.test(name)) return 'is not a header name';
  const lower = name.toLowerCase();
  return reserved.has(lower) || lower.startsWith('proxy-') ? 'is set by the runner and not allowed here' : undefined;
};

// Node refuses what is not Latin-1; a line break would start a header of the caller's choice.
const headerValue: ValueCheck = (value, path) =>
  typeof value === 'string' && value.length <= 8192 && /^[\t\x20-\x7e\x80-\xff]*$/.test(value)
    ? []
    : [{ path, message: 'must be printable Latin-1 text without line breaks, of at most 8192 characters' }];

const shape = fields(
  {
    url: text({ min: 1, max: 8192 }),
    method: oneOf(...methods),
    headers: mapOf(headerName, secretOr(headerValue), 64),
    body: anything,
    expectStatus: listOf(integer(100, 599), { min: 1, max: 64 }),
    maxResponseBytes: integer(0, MAX_RESPONSE_BYTES),
  },
  ['url'],
);

/** Why a URL is not requested at all; undefined when its form is fine. Its address is checked when connecting. */
export const urlFault = (url: URL): string | undefined => {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return 'must use http or https';
  return url.username || url.password ? 'must not carry credentials; send an Authorization header' : undefined;
};

export const httpInputProblems: InputCheck = (input) => {
  const problems: InputProblem[] = [...shape(input), ...secretCount(input)];
  const { url, body, method } = input;
  if (typeof url === 'string' && url !== '') {
    const fault = URL.canParse(url) ? urlFault(new URL(url)) : 'must be an absolute URL';
    if (fault) problems.push({ path: '/url', message: fault });
  }
  if (body !== undefined && (method === undefined || method === 'GET' || method === 'HEAD')) {
    problems.push({ path: '/body', message: 'is not sent with GET or HEAD; name another method' });
  }
  return problems;
};
