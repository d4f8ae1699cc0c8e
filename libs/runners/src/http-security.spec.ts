import type { IncomingHttpHeaders, RequestListener } from 'node:http';
import { gzipSync } from 'node:zlib';
import type { JsonObject } from '#libs/contracts';
import { HttpServers } from '#libs/testing';
import type { HostResolver } from './http-exchange.js';
import { httpRunner, type HttpOptions } from './http.js';
import type { Outcome } from './runner.js';

const servers = new HttpServers();
afterEach(() => servers.stop());

const loopback = (ip: string): boolean => ip === '127.0.0.1';

const request = async (input: JsonObject, options: HttpOptions = { allowAddress: loopback }): Promise<Outcome> =>
  httpRunner(options).run({
    ref: { tenant: 'acme', execution: 'run' },
    taskId: 'call',
    attempt: 1,
    input,
    executionInput: {},
    idempotencyKey: 'run/call',
    signal: new AbortController().signal,
    output: async () => {},
    step: () => {},
  });

const codeOf = (outcome: Outcome): unknown => (outcome.ok ? 'ok' : [outcome.error.code, outcome.error.retryable]);

/** A name server that answers each question with the next of these addresses, and counts the questions. */
function nameServer(...addresses: readonly (readonly string[])[]): { resolveHost: HostResolver; asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    resolveHost: (host, _, callback) => {
      const answer = addresses[Math.min(asked.push(host), addresses.length) - 1] ?? [];
      callback(null, answer.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })));
    },
  };
}

/** A header can't carry anything else; the host of a URL may be percent-encoded. */
const ascii = (url: string): string => url.replace(/[^\0-\x7f]/gu, encodeURIComponent);

describe('an address inside', () => {
  it.each([
    ['metadata of a cloud', 'http://169.254.169.254/latest/meta-data/'],
    ['… over IPv6', 'http://[fd00:ec2::254]/'],
    ['… in carrier-grade NAT', 'http://100.100.100.200/'],
    ['… under a public address', 'http://168.63.129.16/'],
    ['loopback', 'http://127.0.0.1/'],
    ['loopback, short', 'http://127.1/'],
    ['loopback, one number', 'http://2130706433/'],
    ['loopback, hexadecimal', 'http://0x7f.0.0.1/'],
    ['loopback, octal', 'http://0177.0.0.1/'],
    ['loopback, full-width digits', 'http://１２７.0.0.1/'],
    ['loopback with a dot at its end', 'http://127.0.0.1./'],
    ['loopback over IPv6', 'http://[::1]/'],
    ['loopback as IPv4-mapped IPv6', 'http://[::ffff:127.0.0.1]/'],
    ['metadata as IPv4-mapped IPv6', 'http://[::ffff:a9fe:a9fe]/'],
    ['loopback as IPv4-compatible IPv6', 'http://[::127.0.0.1]/'],
    ['loopback behind NAT64', 'http://[64:ff9b::127.0.0.1]/'],
    ['loopback behind a local NAT64', 'http://[64:ff9b:1::7f00:1]/'],
    ['loopback in 6to4', 'http://[2002:7f00:1::]/'],
    ['this host', 'http://0.0.0.0/'],
    ['this host over IPv6', 'http://[::]/'],
    ['a private network', 'https://10.0.0.1/'],
    ['a private network', 'https://172.31.0.1/'],
    ['a private network', 'https://192.168.0.1/'],
    ['a private network over IPv6', 'https://[fc00::1]/'],
    ['carrier-grade NAT', 'http://100.64.0.1/'],
    ['link-local', 'http://169.254.0.1/'],
    ['link-local over IPv6', 'http://[fe80::1]/'],
    ['multicast', 'http://224.0.0.1/'],
    ['multicast over IPv6', 'http://[ff02::1]/'],
    ['broadcast', 'http://255.255.255.255/'],
  ])('is refused: %s, %s, also as the target of a redirect', async (_, target) => {
    expect(codeOf(await request({ url: target }, {}))).toEqual(['HTTP_ADDRESS_REFUSED', false]);
    const url = await servers.serve((_, response) => response.writeHead(302, { Location: ascii(target) }).end());
    let own = true; // The first address judged is this test's server; no other may be reached.
    const redirected = await request({ url }, { allowAddress: () => own && !(own = false) });
    expect(codeOf(redirected)).toEqual(['HTTP_ADDRESS_REFUSED', false]);
  });
});

describe('a name', () => {
  it('is judged by every address it has, when connecting', async () => {
    const url = 'http://inside.test/';
    for (const addresses of [['169.254.169.254'], ['::ffff:127.0.0.1'], ['1.1.1.1', '10.0.0.1'], ['fe80::1%eth0']]) {
      expect(codeOf(await request({ url }, nameServer(addresses)))).toEqual(['HTTP_ADDRESS_REFUSED', false]);
    }
  });

  it('is asked for once a connection: the address judged is the one connected to, whatever it resolves to next', async () => {
    const { port } = new URL(await servers.serve((_, response) => response.end('reached')));
    const names = nameServer(['127.0.0.1'], ['169.254.169.254']);
    const outcome = await request({ url: `http://rebinding.test:${port}/` }, { ...names, allowAddress: loopback });
    expect([outcome.result?.['body'], names.asked]).toEqual(['reached', ['rebinding.test']]);
  });

  it('that resolves differently at a redirect to itself is judged anew', async () => {
    const { port } = new URL(
      await servers.serve((_, response) => response.writeHead(302, { Location: '/latest/meta-data/', Connection: 'close' }).end()),
    );
    const names = nameServer(['127.0.0.1'], ['169.254.169.254']);
    const outcome = await request({ url: `http://rebinding.test:${port}/` }, { ...names, allowAddress: loopback });
    expect([codeOf(outcome), names.asked.length]).toEqual([['HTTP_ADDRESS_REFUSED', false], 2]);
  });

  it('without an address is no answer', async () => {
    expect(codeOf(await request({ url: 'http://empty.test/' }, nameServer([])))).toEqual(['HTTP_FAILED', true]);
  });
});

describe('a redirect', () => {
  it.each([
    'file:///etc/passwd',
    'ftp://127.0.0.1/',
    'gopher://127.0.0.1:11211/_stats',
    'data:text/plain,x',
    'javascript:1',
    'unix:///run/docker.sock',
    'http://user:pw@1.1.1.1/',
    'http://user@1.1.1.1/',
    'http://[',
  ])('to %s is refused', async (location) => {
    const url = await servers.serve((_, response) => response.writeHead(307, { Location: location }).end());
    expect(codeOf(await request({ url }))).toEqual(['HTTP_REDIRECT_REFUSED', false]);
  });

  it('that never ends is refused at the sixth', async () => {
    let asked = 0;
    const url = await servers.serve((_, response) => response.writeHead(302, { Location: `/${++asked}` }).end());
    expect([codeOf(await request({ url })), asked]).toEqual([['HTTP_REDIRECT_REFUSED', false], 6]);
  });

  it('takes the plan’s headers along within an origin, and only those that hold no credentials to another', async () => {
    const seen: IncomingHttpHeaders[] = [];
    const note: RequestListener = ({ headers }, response) => {
      seen.push(headers);
      response.end();
    };
    const other = await servers.serve(note);
    const url = await servers.serve((message, response) => {
      if (message.url === '/away') response.writeHead(307, { Location: other }).end();
      else if (message.url === '/near') response.writeHead(307, { Location: '/here' }).end();
      else note(message, response);
    });
    const credentials = {
      authorization: 'Bearer x',
      cookie: 'a=b',
      'x-api-key': 'k',
      'private-token': 't',
      'x-amz-security-token': 's',
    };
    const harmless = { accept: 'text/plain', 'user-agent': 'plan', 'content-type': 'text/csv' };
    const headers = { ...harmless, ...credentials, AUTHORIZATION: 'Bearer x' };
    await request({ url: `${url}/near`, method: 'POST', body: 'a', headers });
    await request({ url: `${url}/away`, method: 'POST', body: 'a', headers });
    expect(seen[0]).toMatchObject({ ...harmless, ...credentials });
    expect(seen[1]).toMatchObject({ ...harmless, 'idempotency-key': 'run/call' });
    for (const name of Object.keys(credentials)) expect(seen[1]).not.toHaveProperty([name]);
  });

  it('does not come back with what was taken away', async () => {
    const seen: unknown[] = [];
    let url = '';
    const other = await servers.serve((_, response) => response.writeHead(307, { Location: `${url}/back` }).end());
    url = await servers.serve((message, response) => {
      if (message.url === '/back') seen.push(message.headers.authorization);
      response.writeHead(message.url === '/back' ? 200 : 307, { Location: other }).end();
    });
    await request({ url, headers: { Authorization: 'Bearer x' } });
    expect(seen).toEqual([undefined]);
  });
});

describe('a plan', () => {
  it.each([
    [{ url: 'http://user:pw@example.com/' }, '/url'],
    [{ url: 'file:///etc/passwd' }, '/url'],
    [{ url: 'http://example.com/', headers: { Host: 'inside' } }, '/headers/Host'],
    [{ url: 'http://example.com/', headers: { 'Proxy-Authorization': 'Basic eA==' } }, '/headers/Proxy-Authorization'],
    [{ url: 'http://example.com/', headers: { 'Transfer-Encoding': 'chunked' } }, '/headers/Transfer-Encoding'],
    [{ url: 'http://example.com/', headers: { a: 'x\r\nHost: inside' } }, '/headers/a'],
  ])('%j is refused at %s', (input, path) => {
    expect(httpRunner({}).check(input).map((problem) => problem.path)).toEqual([path]);
  });
});

describe('an answer', () => {
  it('that is a gzip bomb stays packed and cut', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 2 ** 20));
    const url = await servers.serve((_, response) => response.writeHead(200, { 'Content-Encoding': 'gzip' }).end(bomb));
    const { result } = await request({ url, headers: { 'Accept-Encoding': 'gzip' } });
    expect(result).toMatchObject({ status: 200, truncated: true });
    expect(Buffer.byteLength(JSON.stringify(result))).toBeLessThanOrEqual(32_768);
  });

  it('with headers past 16 KiB is none', async () => {
    const url = await servers.serve((_, response) => response.writeHead(200, { 'X-Long': 'x'.repeat(20_000) }).end());
    expect(codeOf(await request({ url }))).toEqual(['HTTP_FAILED', true]);
  });

  it.each<[string, RequestListener]>([
    ['never begins', () => {}],
    ['trickles', (_, response) => void response.write('x')],
    ['holds its redirect open', (_, response) => void response.writeHead(302, { Location: '/' }).write('x')],
  ])('that %s is given up in time', async (_, listener) => {
    const url = await servers.serve(listener);
    const outcome = await request({ url }, { allowAddress: loopback, httpTimeoutMs: 100 });
    expect(codeOf(outcome)).toEqual(['HTTP_TIMEOUT', true]);
  });
});
