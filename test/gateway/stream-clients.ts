import { type IncomingMessage, request } from 'node:http';
import { type ClientOptions, WebSocket } from 'ws';
import { eventually } from '#libs/testing';
import type { Json } from './service.js';

/** What came over a stream, in order. `name` is undefined for an event. */
export type Received = { readonly name: string | undefined; readonly position: string; readonly data: Json };

/** A client of server-sent events as curl -N is one: it does not come back by itself. */
export class EventStreamClient {
  readonly received: Received[] = [];
  private text = '';
  private hasEnded = false;

  private constructor(
    readonly status: number,
    readonly headers: IncomingMessage['headers'],
    private readonly response: IncomingMessage,
  ) {
    response.setEncoding('utf8').on('data', (piece: string) => this.take(piece));
    response.on('close', () => (this.hasEnded = true));
  }

  static open(url: string, headers: Readonly<Record<string, string>> = {}): Promise<EventStreamClient> {
    return new Promise((resolve, reject) => {
      const outgoing = request(url, { headers: { accept: 'text/event-stream', ...headers }, agent: false });
      outgoing.on('response', (response) => {
        response.on('error', () => undefined);
        resolve(new EventStreamClient(response.statusCode ?? 0, response.headers, response));
      });
      outgoing.on('error', reject).end();
    });
  }

  get isEnded(): boolean {
    return this.hasEnded;
  }

  get events(): readonly Json[] {
    return this.received.filter(({ name }) => name === undefined).map(({ data }) => data);
  }

  get types(): readonly string[] {
    return this.events.map(({ type }) => String(type).replace('runledger.v1.', ''));
  }

  /** The last id, as a browser would come back with it. */
  lastEventId = '';

  /** All that has come, where it was refused: problem details. */
  async problem(): Promise<Json> {
    await this.ended();
    return JSON.parse(this.text) as Json;
  }

  async until(what: string, check: (client: EventStreamClient) => boolean): Promise<this> {
    await eventually(() => check(this), { what, timeoutMs: 10_000 });
    return this;
  }

  ended(): Promise<unknown> {
    return eventually(() => this.hasEnded, { what: 'the stream to end', timeoutMs: 15_000 });
  }

  /** Takes nothing any more. */
  freeze(): void {
    this.response.pause();
  }

  close(): void {
    this.response.destroy();
  }

  private take(piece: string): void {
    this.text += piece;
    if (this.status !== 200) return;
    const blocks = this.text.split('\n\n');
    this.text = blocks.pop() ?? '';
    for (const block of blocks) {
      const fields = new Map(block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)] as const));
      this.lastEventId = fields.get('id') ?? this.lastEventId;
      const data = fields.get('data');
      if (data !== undefined) this.received.push({ name: fields.get('event'), position: this.lastEventId, data: JSON.parse(data) as Json });
    }
  }
}

/** A WebSocket client that does not come back by itself. */
export class WebSocketClient {
  readonly received: Received[] = [];
  closed: { readonly code: number; readonly reason: string } | undefined;
  /** Instead of an open connection. */
  refused: { readonly status: number; readonly problem: Json } | undefined;
  lastPosition = '';

  private constructor(readonly socket: WebSocket) {
    socket.on('message', (data: Buffer) => {
      const { type, position, event, ...rest } = JSON.parse(data.toString()) as Json;
      if (typeof position === 'string') this.lastPosition = position;
      if (type !== 'heartbeat') this.received.push({ name: type === 'event' ? undefined : String(type), position: this.lastPosition, data: (event ?? rest['snapshot'] ?? rest) as Json });
    });
    socket.on('close', (code, reason) => (this.closed = { code, reason: reason.toString() }));
    socket.on('error', () => undefined);
  }

  static open(url: string, headers: Readonly<Record<string, string>> = {}, options: ClientOptions = {}): Promise<WebSocketClient> {
    const socket = new WebSocket(url.replace(/^http/, 'ws'), { ...options, headers });
    const client = new WebSocketClient(socket);
    return new Promise((resolve, reject) => {
      socket.once('open', () => resolve(client));
      socket.once('unexpected-response', (_request, response: IncomingMessage) => {
        let text = '';
        response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
        response.on('end', () => {
          client.refused = { status: response.statusCode ?? 0, problem: text.startsWith('{') ? (JSON.parse(text) as Json) : {} };
          resolve(client);
        });
      });
      socket.once('error', reject);
    });
  }

  get events(): readonly Json[] {
    return this.received.filter(({ name }) => name === undefined).map(({ data }) => data);
  }

  get types(): readonly string[] {
    return this.events.map(({ type }) => String(type).replace('runledger.v1.', ''));
  }

  async until(what: string, check: (client: WebSocketClient) => boolean, timeoutMs = 10_000): Promise<this> {
    await eventually(() => check(this), { what, timeoutMs });
    return this;
  }

  close(): void {
    this.socket.terminate();
  }
}

/** Comes back with its last position whenever it is cut off, as a careful client does. */
export class Follower {
  readonly positions: string[] = [];
  /** How often it was connected. */
  connected = 0;
  private isStopped = false;
  private current: { close(): void } | undefined;

  constructor(
    private readonly url: string,
    private readonly kind: 'event stream' | 'WebSocket',
    private after: string,
  ) {
    void this.run();
  }

  get last(): string {
    return this.positions[this.positions.length - 1] ?? '';
  }

  stop(): void {
    this.isStopped = true;
    this.current?.close();
  }

  private async run(): Promise<void> {
    while (!this.isStopped) {
      await this.connection().catch(() => undefined);
      if (!this.isStopped) await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  private async connection(): Promise<void> {
    const url = `${this.url}${this.url.includes('?') ? '&' : '?'}after=${this.after}`;
    if (this.kind === 'event stream') {
      const client = await EventStreamClient.open(url);
      this.current = client;
      await this.take(client, () => client.isEnded || client.status !== 200);
      if (client.status !== 200) client.close();
    } else {
      const client = await WebSocketClient.open(url);
      this.current = client;
      if (!client.refused) await this.take(client, () => client.closed !== undefined);
    }
  }

  private async take(client: EventStreamClient | WebSocketClient, hasEnded: () => boolean): Promise<void> {
    this.connected += 1;
    for (let isLast = false; !isLast; ) {
      isLast = hasEnded();
      for (const { name, position } of client.received.splice(0)) {
        if (name !== undefined) continue;
        this.positions.push(position);
        this.after = position;
      }
      if (!isLast) await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
