import type { IncomingHttpHeaders } from 'node:http';
import { Problem } from './problem.js';

/** Web pages that may use the API: those served by this machine. */
export const loopbackOrigin = /^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/;

const loopback: readonly string[] = ['localhost', '127.0.0.1', '[::1]'];
const everywhere: readonly string[] = ['0.0.0.0', '::'];
const harmless: readonly string[] = ['GET', 'HEAD', 'OPTIONS'];

/**
 * Refuses what a foreign web page makes a browser send. Its own name may resolve to this machine (DNS rebinding): Host must be a
 * loopback name or the one the gateway listens on; on all interfaces any name is right. And a POST without a body needs no
 * preflight: its Origin must be loopback, or the gateway itself. So must a WebSocket's, which no browser keeps a page from reading, and
 * a stream's. Throws Problem HOST_NOT_ALLOWED, ORIGIN_NOT_ALLOWED.
 */
export const requestGuard = (listensOn: string): ((method: string, headers: IncomingHttpHeaders) => void) => {
  const names = new Set([...loopback, listensOn.includes(':') ? `[${listensOn}]` : listensOn.toLowerCase()]);
  const anyName = everywhere.includes(listensOn);
  return (method, { host = '', origin, upgrade, accept = '' }) => {
    const isStream = upgrade !== undefined || accept.includes('text/event-stream');
    if (!anyName && !names.has(host.replace(/:\d+$/, '').toLowerCase())) {
      throw new Problem(421, 'HOST_NOT_ALLOWED', `this gateway answers to ${[...names].join(', ')} only; set RUNLEDGER_HOST to listen elsewhere`);
    }
    if (origin === undefined || (harmless.includes(method) && !isStream) || loopbackOrigin.test(origin)) return;
    if (origin === `http://${host}` || origin === `https://${host}`) return;
    throw new Problem(403, 'ORIGIN_NOT_ALLOWED', 'web pages from elsewhere may not change or follow anything here; call from loopback, or without Origin');
  };
};
