import { Problem } from './problem.js';

const loopback = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * Refuses requests whose Host names another machine than this one: a web page that had its own name resolved to 127.0.0.1 would
 * otherwise reach a gateway that trusts loopback. Where the gateway listens on purpose elsewhere, any name is right.
 */
export const hostGuard = (listensOn: string): ((host: string | undefined) => void) => {
  const isLoopback = loopback.has(listensOn) || listensOn === '::1';
  return (host) => {
    const name = (host ?? '').replace(/:\d+$/, '').toLowerCase();
    if (!isLoopback || loopback.has(name)) return;
    throw new Problem(421, 'HOST_NOT_ALLOWED', 'this gateway answers to localhost and 127.0.0.1 only; set RUNLEDGER_HOST to listen elsewhere');
  };
};
