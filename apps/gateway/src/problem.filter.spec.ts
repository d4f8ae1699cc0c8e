import type { FastifyReply, FastifyRequest } from 'fastify';
import { BrokenHistory, LogError } from '#libs/ledger';
import type { Logger } from '#libs/platform';
import { ProblemFilter } from './problem.filter.js';
import { Routes } from './routes.js';

type Line = { readonly level: string; readonly fields: Record<string, unknown>; readonly text: string };

/** What is answered to an error, and what is logged of it. */
const answered = (error: unknown): { readonly body: Record<string, unknown>; readonly lines: readonly Line[] } => {
  const lines: Line[] = [];
  const write = (level: string) => (fields: Record<string, unknown>, text: string) => void lines.push({ level, fields, text });
  const logger = { warn: write('warn'), error: write('error') } as unknown as Logger;
  let body: Record<string, unknown> = {};
  const reply = { header: () => reply, status: () => reply, send: (sent: Record<string, unknown>) => ((body = sent), reply) };
  const request = { method: 'POST', url: '/x', headers: { 'x-correlation-id': 'c-1' }, raw: { complete: true } };
  new ProblemFilter(logger, new Routes()).answer(error, request as unknown as FastifyRequest, reply as unknown as FastifyReply);
  return { body, lines };
};

it('tells nobody about a bug but the log, and both by the same correlation id', () => {
  const error = new TypeError('secret of the house');
  const { body, lines } = answered(error);
  expect(body).toMatchObject({ status: 500, code: 'INTERNAL', correlationId: 'c-1' });
  expect(JSON.stringify(body)).not.toContain('secret');
  expect(lines).toEqual([{ level: 'error', fields: expect.objectContaining({ correlationId: 'c-1', err: error }), text: 'request failed' }]);
});

it('raises an alarm for a broken history', () => {
  const { lines } = answered(new BrokenHistory({ tenant: 't', execution: 'e' }, 7, 'a gap'));
  expect(lines).toMatchObject([{ level: 'error', text: expect.stringMatching(/^ALARM: .*t\/e/) as string }]);
});

it('spends one line without a stack on what passes by itself, none on what is the client’s', () => {
  const { lines } = answered(new LogError('LOG_UNAVAILABLE', 'no connection'));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({ level: 'warn', fields: { code: 'LOG_UNAVAILABLE', correlationId: 'c-1' } });
  expect(lines[0]?.fields).not.toHaveProperty('err');
  expect(answered(new LogError('COMMIT_TOO_LARGE', 'large')).lines).toEqual([]);
});
