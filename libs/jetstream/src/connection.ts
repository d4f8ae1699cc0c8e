import { type NatsConnection, connect } from '@nats-io/transport-node';

/** A connection to the broker. It reconnects for ever; `connected` tells whether it is up now. */
export type Nats = {
  readonly connection: NatsConnection;
  readonly connected: boolean;
  /** Milliseconds since the epoch of the last (re)connect. */
  readonly connectedSince: number;
  onDisconnect(callback: () => void): void;
  onReconnect(callback: () => void): void;
  /** Sends what is buffered, then closes. */
  close(): Promise<void>;
};

/** `wait` keeps trying until the broker is there; without it the first failure is thrown. */
export const connectNats = async (options: {
  readonly url: string;
  readonly name: string;
  readonly wait?: boolean;
}): Promise<Nats> => {
  // nats.js changes the options it is given: they are made for this one connection.
  const connection = await connect({
    servers: options.url.split(','),
    name: options.name,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 200,
    reconnectJitter: 100,
    waitOnFirstConnect: options.wait ?? false,
    pingInterval: 10_000,
    maxPingOut: 2,
    timeout: 5_000,
  });
  const down = new Set<() => void>();
  const up = new Set<() => void>();
  const state = { connected: true, connectedSince: Date.now() };
  void (async () => {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect') {
        state.connected = false;
        for (const callback of down) callback();
      } else if (status.type === 'reconnect') {
        state.connected = true;
        state.connectedSince = Date.now();
        for (const callback of up) callback();
      }
    }
  })();
  return {
    connection,
    get connected() {
      return state.connected && !connection.isClosed();
    },
    get connectedSince() {
      return state.connectedSince;
    },
    onDisconnect: (callback) => void down.add(callback),
    onReconnect: (callback) => void up.add(callback),
    close: async () => {
      await connection.drain().catch(() => connection.close());
    },
  };
};
