import type { NatsBinary } from './nats-binary.js';
import { withoutCredentials } from './nats-process.js';

type Greeting = {
  readonly url: string;
  readonly natsUrl: string;
  /** Undefined when the NATS servers are somebody else's. */
  readonly nats: NatsBinary | undefined;
  /** File with the key of who may read the feed; undefined when the servers are somebody else's. */
  readonly observer: string | undefined;
  readonly home: string;
  readonly logs: string;
  readonly tookMs: number;
};

const DEFAULT_URL = 'http://127.0.0.1:8080';

const HELLO = {
  plan: { name: 'hello', tasks: [{ id: 'greet', runner: 'command', input: { argv: ['echo', 'hello, world'] } }] },
};

export function greeting({ url, natsUrl, nats, observer, home, logs, tookMs }: Greeting): string {
  const server = nats === undefined ? 'not started here' : `nats-server ${nats.version}, every write synced`;
  const follow = ['nats sub --all', `-s ${withoutCredentials(natsUrl)}`, ...(observer === undefined ? [] : [`--nkey '${observer}' --inbox-prefix _INBOX_observer`]), "'events.>'"];
  return `
Runledger is up, after ${(tookMs / 1_000).toFixed(1)} s.

  API     ${url}/api/v1
  docs    ${url}/docs
  NATS    ${withoutCredentials(natsUrl)} (${server})
  events  ${follow.join(' ')}
  state   ${home}
  logs    ${logs}

Try it:

  npx runledger run${url === DEFAULT_URL ? '' : ` --url ${url}`} -- echo 'hello, world'

or from elsewhere:

  curl -s ${url}/api/v1/executions -H 'content-type: application/json' \\
    -d '${JSON.stringify(HELLO)}'

Ctrl-C stops everything; the state stays.
`;
}
