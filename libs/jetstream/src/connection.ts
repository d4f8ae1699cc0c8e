import { setTimeout as pause } from 'node:timers/promises';
import { type NatsConnection, PermissionViolationError, connect, createInbox } from '@nats-io/transport-node';
import { type NatsAccess, connectionOptions, inboxPrefix } from './access.js';
import { type NatsError, forbidden, toNatsError } from './nats-error.js';
import { Replies } from './replies.js';
import { Slots } from './slots.js';
import type { NatsUser } from './users.js';

const RETRY_MS = 250;

/** A connection to the broker. It reconnects for ever; `connected` tells whether it is up now. */
export type Nats = {
  readonly connection: NatsConnection;
  readonly replies: Replies;
  /**
   * Pages that are read at once: nats-server ends the connection of who leaves 64 MiB of what was asked for untaken, and with it all that
   * goes over it. Those of files are apart, so that nothing waits for somebody's downloads.
   */
  readonly reads: { readonly messages: Slots; readonly files: Slots };
  readonly connected: boolean;
  /** Milliseconds since the epoch of the last (re)connect. */
  readonly connectedSince: number;
  /** A new subject that only this user may listen on. */
  inbox(): string;
  /** Both return what ends the notifications. */
  onDisconnect(callback: () => void): () => void;
  onReconnect(callback: () => void): () => void;
  /** Sends what is buffered, then closes; at once when the broker is not there. */
  close(): Promise<void>;
};

/** Of 1 MiB each. */
const MESSAGE_PAGES = 24;
const FILE_PAGES = 8;

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

export type ConnectOptions = NatsAccess & {
  readonly name: string;
  /** Whose permissions these credentials come with; answers come to inboxes of this user alone. Default: anyone, with all permissions. */
  readonly user?: NatsUser;
  /** Keeps trying until the broker is there; without it the first failure is thrown. */
  readonly wait?: boolean;
  /** Hears what the broker did not let this user do, and with `wait`, once, why it has to wait. */
  readonly tell?: (error: NatsError) => void;
};

const firstConnect = async (options: ConnectOptions): Promise<NatsConnection> => {
  for (let told = false; ; told = true) {
    try {
      return await connect({ ...connectionOptions(options, options.user, options.name), pingInterval: 10_000, maxPingOut: 2, timeout: 5_000 });
    } catch (error) {
      const why = toNatsError(error);
      if (!options.wait || !why.retryable) throw why;
      if (!told) options.tell?.(why);
      await pause(RETRY_MS);
    }
  }
};

/** A broker that has stopped answering counts as gone after 20 to 30 s. Throws NatsError. */
export const connectNats = async (options: ConnectOptions): Promise<Nats> => {
  const connection = await firstConnect(options);
  const inbox = (): string => createInbox(inboxPrefix(options.user));
  const replies = new Replies(connection, inbox());
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
      } else if (status.type === 'error' && status.error instanceof PermissionViolationError) {
        options.tell?.(forbidden(status.error));
      }
    }
    state.connected = false;
    replies.connectionLost();
    down.call();
  })();
  return {
    connection,
    replies,
    reads: { messages: new Slots(MESSAGE_PAGES), files: new Slots(FILE_PAGES) },
    inbox,
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
