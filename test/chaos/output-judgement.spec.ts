import { ofOutput } from './output-judgement.js';

const started = '[7] 2026/01/01 10:00:00.000000 [INF] Starting nats-server\n';
const refused = (seconds: string, who: string, subject: string): string => `[7] 2026/01/01 10:00:${seconds}.500000 [ERR] 127.0.0.1:1 - cid:9 - "v3:nats.js:runledger ${who}" - "$G/nkey:U" - Publish Violation - Subject "${subject}"\n`;

describe('what a broker refuses', () => {
  it('is as it has to be where a projector answers what another broker had handed on', () => {
    expect([...ofOutput('nats-server', started + refused('01', 'projector queries', '_INBOX_gateway.x.y'))]).toEqual([]);
  });

  it.each([
    ['later', refused('30', 'projector queries', '_INBOX_gateway.x.y')],
    ['of anybody else', refused('01', 'gateway', '_INBOX_gateway.x.y')],
    ['other than an answer', refused('01', 'projector queries', 'log.1.default.x')],
  ])('shows when it is %s', (_what, line) => {
    expect([...ofOutput('nats-server', started + line)]).toEqual([expect.stringMatching(/Publish Violation/)]);
  });
});

it('an alarm of any app shows', () => {
  expect([...ofOutput('executor-1', '{"msg":"up"}\n{"msg":"ALARM: another log"}\n')]).toEqual([expect.stringMatching(/executor-1 has logged: .*ALARM/)]);
});
