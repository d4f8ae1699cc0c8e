import { type NatsConnection, connect } from '@nats-io/transport-node';
import { Replies } from './replies.js';

/** A connection to the broker. It reconnects for ever; `connected` tells whether it is up now. */
export type Nats = {
  readonly connection: NatsConnection;
  readonly replies: Replies;
  readonly connected: boolean;
  /** Milliseconds since the epoch of the last (re)connect. */
  readonly connectedSince: number;
  /** Both return what ends the notifications. */
  onDisconnect(callback: () => void): () => void;
  onReconnect(callback: () => void): () => void;
  /** Sends what is buffered, then closes; at once when the broker is not there. */
  close(): Promise<void>;
};

const listeners = (): { readonly add: (callback: () => void) => () => void; readonly call: () => void } => {
  const callbacks = new Set<() => void>();
  return {
    add: (callback) => {
      callbacks.add(callback);
      return () => void callbacks.delete(callback);
    },
    call: () => {
      for (const callback of callbacks) callback();
    },
  };
};

/**
 * `wait` keeps trying until the broker is there; without it the first failure is thrown. `url` may name several servers,
 * separated by commas. A broker that has stopped answering counts as gone after 20 to 30 s.
 */
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
  const replies = new Replies(connection);
  const down = listeners();
  const up = listeners();
  const state = { connected: true, connectedSince: Date.now() };
  void (async () => {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect') {
        state.connected = false;
        replies.connectionLost();
        down.call();
      } else if (status.type === 'reconnect') {
        state.connected = true;
        state.connectedSince = Date.now();
        replies.connectionRestored();
        up.call();
      }
    }
    state.connected = false;
    replies.connectionLost();
    down.call();
  })();
  return {
    connection,
    replies,
    get connected() {
      return state.connected && !connection.isClosed();
    },
    get connectedSince() {
      return state.connectedSince;
    },
    onDisconnect: down.add,
    onReconnect: up.add,
    close: async () => {
      // Draining waits for an answer, which nobody gives while the broker is away.
      if (state.connected && !connection.isClosed()) await connection.drain().catch(() => connection.close());
      else await connection.close();
    },
  };
};
