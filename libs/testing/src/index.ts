export { eventually } from './eventually.js';
export { type Log, World, generatedLogs } from './generated-logs.js';
export { HttpServers } from './http-servers.js';
export { natsServers, type NatsBinary, type NatsVersion } from './nats-binaries.js';
export { startNatsServer, type NatsServer, type NatsServerOptions } from './nats-server.js';
export { transpile } from './transpile.js';
export {
  type Step,
  T0,
  advance,
  again,
  approve,
  at,
  by,
  cancel,
  childEnded,
  delegate,
  fail,
  found,
  given,
  iso,
  lose,
  over,
  pause,
  reject,
  request,
  resume,
  signal,
  start,
  startEach,
  succeed,
  task,
} from './specification.js';
