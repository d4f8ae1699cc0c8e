import { randomUUID } from 'node:crypto';
import { Members, type Nats, connectNats } from '#libs/jetstream';
import { eventually, natsServers } from '#libs/testing';
import { type Broker, startBroker } from './servers.js';
import { startProxy } from './swallowing-proxy.js';

describe.each(natsServers())('members on $name', ({ name: version }) => {
  let broker: Broker;
  const joined: Members[] = [];
  const join = async (nats: Nats): Promise<{ members: Members; incarnation: string }> => {
    const incarnation = randomUUID();
    const members = await Members.join(nats, { incarnation, details: { node: incarnation.slice(0, 4) } });
    joined.push(members);
    return { members, incarnation };
  };
  beforeEach(async () => {
    broker = await startBroker({ version });
  });
  afterEach(async () => {
    await Promise.all(joined.splice(0).map((members) => members.leave()));
    await broker.close();
  });

  it('know each other at once, with their details, and hear at once of who leaves', async () => {
    const first = await join(broker.nats);
    const heard: string[][] = [];
    first.members.onChange(() => heard.push([...first.members.live().keys()].sort()));
    const second = await join((await broker.connect()).nats);
    expect(second.members.live()).toEqual(
      new Map([first, second].map(({ incarnation }) => [incarnation, { node: incarnation.slice(0, 4) }])),
    );
    await eventually(() => heard.length === 1, { what: 'the first to hear of the second' });
    expect(first.members.goneFor(second.incarnation)).toBe(0);
    await second.members.leave();
    await eventually(() => heard.length === 2, { timeoutMs: 1_000, what: 'the first to hear that the second left' });
    expect(heard).toEqual([[first.incarnation, second.incarnation].sort(), [first.incarnation]]);
  });

  it('are gone only after a full time to live without a beat, counted by who heard everyone meanwhile', async () => {
    const observer = await join(broker.nats);
    const proxy = await startProxy(broker.server.port);
    const cutOff = await connectNats({ url: proxy.url, name: 'to be cut off' });
    const other = await join(cutOff);
    await eventually(() => observer.members.live().has(other.incarnation), { what: 'the other' });
    await proxy.close();
    const cutAt = Date.now();
    await eventually(() => !observer.members.live().has(other.incarnation), { what: 'the other to lapse' });
    expect(Date.now() - cutAt).toBeGreaterThan(observer.members.ttlMs - 1_100);
    expect(observer.members.goneFor(other.incarnation)).toBeLessThan(500);
    await eventually(() => observer.members.goneFor(other.incarnation) > 1_000, { what: 'the count to go on' });
    await cutOff.close();
  }, 15_000);

  it('are not taken for gone because of a broker outage that outlasts every key', async () => {
    const first = await join(broker.nats);
    const second = await join((await broker.connect()).nats);
    const never = randomUUID();
    await eventually(() => first.members.goneFor(never) > 1_000, { what: 'an unknown member to count as absent' });
    await broker.server.kill();
    await eventually(() => !broker.nats.connected, { what: 'the outage' });
    expect(first.members.goneFor(never)).toBe(0);
    const changes: string[] = [];
    first.members.onChange(() => changes.push([...first.members.live().keys()].join()));
    await new Promise((resolve) => setTimeout(resolve, first.members.ttlMs + 500));
    await broker.server.restart();
    await eventually(() => first.members.goneFor(never) > first.members.ttlMs, { timeoutMs: 10_000, what: 'the count to go on after the outage' });
    expect(first.members.goneFor(second.incarnation)).toBe(0);
    expect(changes).toEqual([]);
  }, 20_000);
});
