import { eventually } from '#libs/testing';
import { cli, jsonLines } from './cli.js';
import { type Platform, startPlatform } from './platform.js';

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
}, 90_000);
afterAll(async () => expect(await platform.stop()).toBe(0), 60_000);

const shell = (id: string, script: string, more: object = {}): object => ({ id, runner: 'command', input: { shell: 'sh', script }, ...more });
const request = async (...tasks: readonly object[]): Promise<string> => {
  const { status, body } = await platform.post('/api/v1/executions', { plan: { name: 'writes', tasks } });
  expect([status, body['code']]).toEqual([202, undefined]);
  return String(body['id']);
};
const stored = async (id: string): Promise<string> => (await (await fetch(`${platform.url}/api/v1/executions/${id}/output/lines`)).text());

it('is followed over killed gateways and a killed broker to the end of the execution, each line once and in order', async () => {
  const id = await request(
    shell('writes', 'i=0; while [ $i -lt 150 ]; do i=$((i+1)); echo "line $i"; sleep 0.05; done'),
    { id: 'gate', runner: 'signal', input: { name: 'go' }, dependsOn: ['writes'] },
    shell('ends', 'echo "line 151"; printf "line 152"', { dependsOn: ['gate'] }),
  );
  const following = cli(platform, ['output', id, '--follow', '--ndjson']);
  const told = (n: number): Promise<unknown> => eventually(() => following.out().includes(`"line ${n}"`), { what: `line ${n}`, timeoutMs: 60_000 });
  await told(10);
  await platform.killAndAwaitReturn('apps/gateway/');
  await told(150);
  // Nothing is written meanwhile: of what is, a broker that is killed may lose the last.
  await platform.killAndAwaitReturn('nats-server');
  await platform.killAndAwaitReturn('apps/gateway/');
  await eventually(async () => (await platform.post(`/api/v1/executions/${id}/signals/go`).catch(() => undefined))?.status === 200, { what: 'the signal', timeoutMs: 60_000 });
  const { code, err, values } = await jsonLines(following);
  expect([code, err]).toEqual([0, expect.stringContaining('trying again')]);
  expect(values.map(({ text }) => text)).toEqual(Array.from({ length: 152 }, (_, i) => `line ${i + 1}`));
  expect(values).toEqual((await stored(id)).trimEnd().split('\n').map((line) => JSON.parse(line) as unknown));
}, 180_000);

it('is followed from its last lines that fit', async () => {
  const id = await request(shell('a', 'seq 100; echo half; read never || true'), { id: 'gate', runner: 'signal', input: { name: 'go' }, dependsOn: ['a'] }, shell('b', 'echo 101; echo last', { dependsOn: ['gate'] }));
  await eventually(async () => (await stored(id)).includes('"half"'), { what: 'the first lines', timeoutMs: 30_000 });
  const following = cli(platform, ['output', id, '--follow', '--tail', '2', '--grep', '1']);
  await eventually(() => following.out().includes('100'), { what: 'the last lines', timeoutMs: 30_000 });
  await platform.post(`/api/v1/executions/${id}/signals/go`);
  const { code, out } = await following.ended;
  expect([code, out]).toEqual([0, 'a    | 91\na    | 100\nb    | 101\n']);
}, 60_000);

it('that is hostile comes in bounds, with nothing that a terminal obeys: sequences, binary, a line of 7 MB, a million markers', async () => {
  const id = await request(
    shell('escapes', String.raw`printf '\033]0;title\007\033[2J\033[31mred\033[0m\n'; head -c 4096 /dev/urandom; echo`),
    shell('long', "head -c 7000000 /dev/zero | tr '\\0' x"),
    shell('many', "yes STEP_START:x | head -n 1000000; true", { dependsOn: ['escapes', 'long'] }),
  );
  const { code, out } = await cli(platform, ['output', id, '--follow', '--task', 'escapes', '--tail', '10000']).ended;
  expect([code, out.split('\n')[0]]).toEqual([0, 'red']);
  // oxlint-disable-next-line no-control-regex
  expect(out).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
  const long = (await jsonLines(cli(platform, ['output', id, '--task', 'long', '--ndjson']))).values;
  expect(long.reduce((length, { text }) => length + String(text).length, 0)).toBe(7_000_000);
  expect(Math.max(...long.map(({ text }) => String(text).length))).toBe(16 * 1024);
  const [last] = (await jsonLines(cli(platform, ['output', id, '--task', 'many', '--stream', 'stderr', '--tail', '1', '--ndjson']))).values;
  expect(last).toMatchObject({ truncated: true, text: expect.stringContaining('output truncated after') as unknown });
}, 180_000);
