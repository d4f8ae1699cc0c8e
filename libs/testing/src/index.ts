export { eventually, type EventuallyOptions } from './eventually.js';
export { natsServers, type NatsBinary, type NatsVersion } from './nats-binaries.js';
export { startNatsServer, type NatsServer, type NatsServerOptions } from './nats-server.js';
export { transpile } from './transpile.js';
