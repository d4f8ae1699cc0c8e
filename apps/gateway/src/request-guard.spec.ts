import { requestGuard } from './request-guard.js';

const onLoopback = requestGuard('127.0.0.1');

it.each(['127.0.0.1', '127.0.0.1:8080', 'localhost:8080', 'LOCALHOST', '[::1]:8080', '[::1]'])('answers to Host %s on loopback', (host) => {
  expect(() => onLoopback('GET', { host })).not.toThrow();
});

it.each(['evil.example', 'localhost.evil.example', '127.0.0.1.nip.io:8080', '10.0.0.5', '', 'localhost:80:80', 'localhost@evil.example'])(
  'refuses Host %j on loopback',
  (host) => {
    expect(() => onLoopback('GET', { host })).toThrow(expect.objectContaining({ status: 421, code: 'HOST_NOT_ALLOWED' }));
  },
);

it('answers to the name it listens on, and still to loopback', () => {
  const guard = requestGuard('10.0.0.5');
  expect(() => guard('GET', { host: '10.0.0.5:8080' })).not.toThrow();
  expect(() => guard('GET', { host: 'localhost:8080' })).not.toThrow();
  expect(() => guard('GET', { host: 'evil.example' })).toThrow(expect.objectContaining({ code: 'HOST_NOT_ALLOWED' }));
});

it.each(['0.0.0.0', '::'])('answers to any name where it listens on all interfaces (%s)', (everywhere) => {
  expect(() => requestGuard(everywhere)('POST', { host: 'gateway:8080' })).not.toThrow();
});

it.each(['https://evil.example', 'null', 'http://localhost.evil.example', 'http://127.0.0.1@evil.example'])(
  'lets no page of %s change anything, but read what CORS then keeps from it',
  (origin) => {
    const headers = { host: 'localhost:8080', origin };
    expect(() => onLoopback('POST', headers)).toThrow(expect.objectContaining({ status: 403, code: 'ORIGIN_NOT_ALLOWED' }));
    expect(() => onLoopback('GET', headers)).not.toThrow();
  },
);

it.each([{ origin: 'https://evil.example' }, { origin: 'null' }, { 'sec-fetch-site': 'cross-site' }])('lets no page elsewhere follow anything, whatever it accepts: %j', (headers) => {
  const all = { host: 'localhost:8080', accept: '*/*', ...headers };
  expect(() => onLoopback('GET', all, true)).toThrow(expect.objectContaining({ status: 403, code: 'ORIGIN_NOT_ALLOWED' }));
  expect(() => onLoopback('GET', all, false)).not.toThrow();
});

it.each([{}, { 'sec-fetch-site': 'same-origin' }, { 'sec-fetch-site': 'none' }, { 'sec-fetch-site': 'cross-site', origin: 'http://localhost:3000' }])(
  'lets others follow: %j',
  (headers) => {
    expect(() => onLoopback('GET', { host: 'localhost:8080', ...headers }, true)).not.toThrow();
  },
);

it.each(['http://localhost:3000', 'https://127.0.0.1', 'http://[::1]:5173'])('lets a page of %s in', (origin) => {
  expect(() => onLoopback('POST', { host: 'localhost:8080', origin })).not.toThrow();
});

it('lets its own page in, wherever it is served from', () => {
  const headers = { host: 'runledger.example', origin: 'https://runledger.example' };
  expect(() => requestGuard('0.0.0.0')('POST', headers)).not.toThrow();
});
