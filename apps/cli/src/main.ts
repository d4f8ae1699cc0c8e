#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { SettingsError } from '#libs/platform';
import { UpFailure } from './up/failure.js';
import { up } from './up/up.js';

const usage = `Usage: runledger up

  up    Starts nats-server (unless NATS_URL is set), gateway, executor and projector, and keeps them running.

Settings are environment variables: RUNLEDGER_HOME (.runledger), RUNLEDGER_HOST (127.0.0.1), RUNLEDGER_PORT (8080),
RUNLEDGER_NATS_PORT (4222), NATS_URL, RUNLEDGER_ROOTS, RUNLEDGER_CONCURRENCY (32), RUNLEDGER_LOG_LEVEL (info).`;

const { positionals, values } = parseArgs({ allowPositionals: true, options: { help: { type: 'boolean', short: 'h' } } });

if (values.help || positionals.length !== 1 || positionals[0] !== 'up') {
  console.log(usage);
  process.exitCode = values.help ? 0 : 2;
} else {
  try {
    process.exitCode = await up(process.env, console.log);
  } catch (error) {
    if (!(error instanceof UpFailure || error instanceof SettingsError)) throw error;
    console.error(`runledger: ${error.message}`);
    process.exitCode = 1;
  }
  process.exit();
}
