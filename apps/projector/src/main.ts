import { createLogger, readSettings, runApp } from '#libs/platform';
import { startProjector } from './projector.js';

const settings = readSettings(process.env);
const logger = createLogger('projector', settings.logLevel);

await runApp(logger, () => startProjector(settings, logger));
