import { authorization, passwordUsers, serverUsers, userKeys } from '#libs/jetstream';
import { EXIT, type ExitCode } from '../exit-codes.js';

export type NatsConfigOptions = { readonly keys?: string; readonly observer?: readonly string[] };

const ABOUT = `# Users of Runledger and what each may do; everybody else is kept out. Made by: runledger nats-config
`;

const PASSWORDS = `# The server takes the passwords from its environment. One that begins with a digit needs quotes of its own: '"7up"'.
`;

/** Prints the block that goes into the configuration of a nats-server, or into a file that it includes. */
export const natsConfig = ({ keys, observer = [] }: NatsConfigOptions): ExitCode => {
  const names = serverUsers(observer);
  const users = keys === undefined ? passwordUsers(names) : userKeys(keys, names);
  process.stdout.write(ABOUT + (keys === undefined ? PASSWORDS : '') + authorization(users));
  return EXIT.ok;
};
