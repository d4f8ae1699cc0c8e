import { eventually } from '#libs/testing';
import { cli, json } from './cli.js';
import { DamagedLog, type Message, readLog } from './damaged-log.js';
import { type Platform, startPlatform } from './platform.js';

type Fault = { readonly code: string; readonly sequence: number; readonly execution: string | null; readonly version: number | null; readonly message: string };

const plan = JSON.stringify({
  name: 'audited',
  tasks: [
    { id: 'a', runner: 'command', input: { shell: 'sh', script: 'test $RUNLEDGER_ATTEMPT = 2' }, retry: { maxAttempts: 2, delayMs: 10 } },
    { id: 'b', runner: 'command', input: { argv: ['echo', 'b'] }, dependsOn: ['a'] },
    { id: 'c', runner: 'command', input: { argv: ['echo', 'c'] }, dependsOn: ['b'] },
  ],
});

let platform: Platform;
let messages: readonly Message[];
/** Log sequences of the second of three executions. */
let own: readonly number[];
let id: string;

beforeAll(async () => {
  platform = await startPlatform();
  const ids: string[] = [];
  for (let i = 0; i < 3; i++) {
    const { code, err } = await cli(platform, ['run', '--plan', '-'], plan).ended;
    expect(code).toBe(0);
    ids.push(/^execution (\S+)/.exec(err)?.[1] ?? '');
  }
  id = ids[1] ?? '';
  messages = await readLog(platform);
  own = messages.flatMap(({ subject }, i) => (subject.endsWith(`.${id}`) ? [i + 1] : []));
  expect(own.length).toBeGreaterThan(4);
  const known = async (): Promise<boolean> => Number((await platform.get('/api/v1/executions')).body['asOfSeq']) >= messages.length;
  await eventually(known, { timeoutMs: 10_000, what: 'the read models to catch up' });
}, 90_000);
afterAll(async () => {
  await platform.stop();
}, 60_000);

const damages: DamagedLog[] = [];
afterEach(async () => {
  await Promise.all(damages.splice(0).map((damage) => damage.close()));
});

/** What verify says of a copy of the log, as a person and as a program sees it. */
const verified = async (copy: readonly Message[], deleted: readonly number[] = []) => {
  const damage = await DamagedLog.make(platform, copy, deleted);
  damages.push(damage);
  const at = { url: platform.url, natsUrl: damage.server.url };
  const [{ code, value }, { out }] = [await json(cli(at, ['verify', '--json'])), await cli(at, ['verify']).ended];
  const faults = value['faults'] as readonly Fault[];
  for (const fault of faults) expect(out).toContain(`${fault.code} at log sequence ${fault.sequence}`);
  return { code, faults, heads: value['heads'] };
};

const middle = (): number => own[2]! - 1;
const flip = (message: Message, place: number): Message => {
  const data = Uint8Array.from(message.data);
  data[place]! ^= 1;
  return { ...message, data };
};

describe('verify', () => {
  it('finds nothing in the log as it is, whole or of one execution, and says what it has looked at', async () => {
    const whole = await json(cli(platform, ['verify', '--json']));
    expect(whole.value).toEqual({
      lastSequence: messages.length,
      commits: messages.length,
      executions: 3,
      heads: { compared: 3, asOfSeq: messages.length },
      faults: [],
    });
    expect(whole.code).toBe(0);
    const one = await json(cli(platform, ['verify', id, '--json']));
    expect(one.value).toMatchObject({ commits: own.length, executions: 1, heads: { compared: 1 }, faults: [] });
    expect((await cli(platform, ['verify']).ended).out).toMatch(/^no faults in \d+ commits of 3 executions, up to log sequence \d+/);
  }, 60_000);

  it('finds nothing in a copy that is whole', async () => {
    expect(await verified(messages)).toMatchObject({ code: 0, faults: [], heads: { compared: 3 } });
  }, 60_000);

  it('names one flipped byte, wherever it is', async () => {
    const { length } = messages[middle()]!.data;
    for (const place of [0, 10, Math.floor(length / 2), length - 30, length - 1]) {
      const { code, faults } = await verified(messages.with(middle(), flip(messages[middle()]!, place)));
      expect(code).toBe(1);
      expect(faults).toEqual([expect.objectContaining({ execution: id, message: expect.stringContaining('backup') as string })]);
      expect([own[2], own[3]]).toContain(faults[0]?.sequence);
    }
  }, 60_000);

  it('names one flipped byte of the last commit by what the read models have read', async () => {
    const last = own[own.length - 1]! - 1;
    const text = new TextDecoder().decode(messages[last]!.data);
    const { code, faults } = await verified(messages.with(last, flip(messages[last]!, text.indexOf('"id":"') + 6)));
    expect(code).toBe(1);
    expect(faults).toEqual([expect.objectContaining({ code: 'HEAD_DIFFERS', sequence: last + 1, execution: id })]);
  }, 60_000);

  it('names one dropped commit, and the hole that it leaves', async () => {
    const { code, faults } = await verified(messages, [own[2]!]);
    expect(code).toBe(1);
    expect(faults).toEqual([
      expect.objectContaining({ code: 'LOG_GAP', sequence: own[2] }),
      expect.objectContaining({ code: 'VERSION_GAP', sequence: own[3], execution: id, version: 3 }),
    ]);
  }, 60_000);

  it('names a swapped pair as swapped', async () => {
    const [first, second] = [own[2]! - 1, own[3]! - 1];
    const { code, faults } = await verified(messages.with(first, messages[second]!).with(second, messages[first]!));
    expect(code).toBe(1);
    expect(faults).toEqual([expect.objectContaining({ code: 'VERSION_OUT_OF_ORDER', sequence: own[2], execution: id, version: 4 })]);
    expect(faults[0]?.message).toMatch(/version 4 .* stands before version 3 .*swapped/);
  }, 60_000);

  it('names a lost tail by what the read models have read', async () => {
    const { code, faults } = await verified(messages.slice(0, own[3]!));
    expect(code).toBe(1);
    const cut = new Set(messages.slice(own[3]!).map(({ subject }) => subject.slice(subject.lastIndexOf('.') + 1)));
    expect(new Set(faults.map((fault) => fault.code))).toEqual(new Set(['LOG_WENT_BACK']));
    expect(new Set(faults.map(({ execution }) => execution))).toEqual(cut);
    expect(faults).toContainEqual(expect.objectContaining({ execution: id, version: own.length, sequence: own[own.length - 1] }));
  }, 60_000);

  it('says so when there is no projector to compare with, no such execution, or no broker', async () => {
    const damage = await DamagedLog.make(undefined, messages);
    damages.push(damage);
    const alone = await cli({ url: platform.url, natsUrl: damage.server.url }, ['verify']).ended;
    expect(alone).toMatchObject({ code: 0, out: expect.stringContaining('no faults') as string });
    expect(alone.err).toContain('no projector answers');
    expect(await cli(platform, ['verify', 'nobody']).ended).toMatchObject({ code: 3, out: '' });
    expect(await cli({ ...platform, natsUrl: 'nats://127.0.0.1:1' }, ['verify']).ended).toMatchObject({ code: 5, out: '' });
  }, 60_000);
});
