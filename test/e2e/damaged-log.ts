import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { type NatsConnection, connect } from '@nats-io/transport-node';
import { type NatsServer, startNatsServer } from '#libs/testing';
import type { Platform } from './platform.js';

export type Message = { readonly subject: string; readonly data: Uint8Array };

/** Every message of a log, in its order. */
export const readLog = async (platform: Platform): Promise<readonly Message[]> => {
  const connection = await connect(platform.natsOptions('operator'));
  try {
    const { streams } = await jetstreamManager(connection, { checkAPI: false });
    const messages: Message[] = [];
    for (let seq = 1; ; seq++) {
      const message = await streams.getMessage('LOG', { seq });
      if (!message) return messages;
      messages.push({ subject: message.subject, data: message.data });
    }
  } finally {
    await connection.close();
  }
};

/**
 * A log of its own with these messages, but for the sequences to be deleted. What is asked of the projector there is answered by that
 * of `original`, where one is given: it has read what was there before.
 */
export class DamagedLog {
  private constructor(
    readonly server: NatsServer,
    private readonly connections: readonly NatsConnection[],
  ) {}

  static async make(original: Platform | undefined, messages: readonly Message[], deleted: readonly number[] = []): Promise<DamagedLog> {
    const server = await startNatsServer({ syncAlways: false });
    const here = await connect({ servers: server.url });
    const manager = await jetstreamManager(here);
    await manager.streams.add({ name: 'LOG', subjects: ['log.>'], allow_direct: true });
    for (const { subject, data } of messages) await jetstream(here).publish(subject, data);
    for (const sequence of deleted) await manager.streams.deleteMessage('LOG', sequence);
    if (original === undefined) return new DamagedLog(server, [here]);
    const there = await connect(original.natsOptions('operator'));
    here.subscribe('runledger.query.>', {
      callback: (_, question) => {
        void there.request(question.subject, question.data, { timeout: 5_000 }).then((answer) => question.respond(answer.data));
      },
    });
    return new DamagedLog(server, [there, here]);
  }

  async close(): Promise<void> {
    await Promise.all(this.connections.map((connection) => connection.close()));
    await this.server.stop();
  }
}
