#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { up } from './up/up.js';

const HELP = `Usage: runledger <command>

Commands
  up             start everything on this machine: nats-server, gateway, executor, projector

Options
  -h, --help     print this
  -v, --version  print the version

Environment of up
  NATS_URL              use the NATS servers there and start none
  RUNLEDGER_NATS_PORT   port of the nats-server started here (4222)
  RUNLEDGER_HOST        address that the API listens on (127.0.0.1)
  RUNLEDGER_PORT        port of the API (8080)
  RUNLEDGER_HOME        folder of state and logs (.runledger)
  RUNLEDGER_LOG         verbose: show everything the processes log
  RUNLEDGER_STOP_MS     how long an app may take to stop, in milliseconds (RUNLEDGER_GRACE_MS + 10000)
`;

process.exitCode = await run(process.argv.slice(2));

async function run(args: string[]): Promise<number> {
  let parsed;
  try {
    parsed = parseArgs({
      args,
      allowPositionals: true,
      options: { help: { type: 'boolean', short: 'h' }, version: { type: 'boolean', short: 'v' } },
    });
  } catch (error) {
    return misused(error instanceof Error ? error.message : String(error));
  }
  const { values, positionals } = parsed;
  const [command, ...rest] = positionals;
  if (values.help === true) return said(HELP);
  if (values.version === true) return said(`${version()}\n`);
  if (command === undefined) return misused('no command given');
  if (command !== 'up') return misused(`there is no command ${command}`);
  if (rest.length > 0) return misused(`up takes no arguments, but was given ${rest.join(' ')}`);
  return await up(process.env);
}

function said(text: string): number {
  process.stdout.write(text);
  return 0;
}

function misused(why: string): number {
  process.stderr.write(`runledger: ${why}\n\n${HELP}`);
  return 2;
}

/** From the package this file belongs to, wherever that is installed. */
function version(): string {
  const file = new URL('../../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
