import { createLogger, readSettings, runApp } from '#libs/platform';
import { startGateway } from './gateway.js';

const settings = readSettings(process.env);
const logger = createLogger('gateway', settings.logLevel);

await runApp(logger, async () => (await startGateway(settings, logger)).stop);
