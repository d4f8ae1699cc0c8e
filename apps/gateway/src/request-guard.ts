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
 * that of whatever is followed: it would take one of the places that there are, be it as an image, for which a browser names no Origin,
 * but says that it is for a page elsewhere. Throws Problem HOST_NOT_ALLOWED, ORIGIN_NOT_ALLOWED.
 */
export const requestGuard = (listensOn: string): ((method: string, headers: IncomingHttpHeaders, isFollowed?: boolean) => void) => {
  const names = new Set([...loopback, listensOn.includes(':') ? `[${listensOn}]` : listensOn.toLowerCase()]);
  const anyName = everywhere.includes(listensOn);
  return (method, { host = '', origin, upgrade, 'sec-fetch-site': site }, isFollowed = false) => {
    const isStream = upgrade !== undefined || isFollowed;
    if (!anyName && !names.has(host.replace(/:\d+$/, '').toLowerCase())) {
      throw new Problem(421, 'HOST_NOT_ALLOWED', `this gateway answers to ${[...names].join(', ')} only; set RUNLEDGER_HOST to listen elsewhere`);
    }
    if (origin === undefined && isStream && site === 'cross-site') throw foreign();
    if (origin === undefined || (harmless.includes(method) && !isStream) || loopbackOrigin.test(origin)) return;
    if (origin === `http://${host}` || origin === `https://${host}`) return;
    throw foreign();
  };
};

const foreign = (): Problem =>
  new Problem(403, 'ORIGIN_NOT_ALLOWED', 'web pages from elsewhere may not change or follow anything here; call from loopback, or without Origin');
