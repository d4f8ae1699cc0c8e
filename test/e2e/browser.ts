import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const executablePath = [process.env['RUNLEDGER_TEST_CHROMIUM'] ?? '', '/usr/bin/chromium', '/usr/bin/google-chrome'].find((path) => existsSync(path));

/** Undefined where there is none, which is said loudly: `what` is not tested then. */
export const launchBrowser = async (what: string): Promise<Browser | undefined> => {
  if (executablePath === undefined) {
    process.stderr.write(`*** NO Chromium HERE: ${what} is NOT TESTED; install chromium or set RUNLEDGER_TEST_CHROMIUM ***\n`);
    return undefined;
  }
  const args = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
  return await chromium.launch({ executablePath, args });
};
