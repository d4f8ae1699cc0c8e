import { createLogger, readSettings, runApp } from '#libs/platform';
import { closeInheritedFiles } from '#libs/runners';
import { startExecutor } from './executor.js';

closeInheritedFiles();
const settings = readSettings(process.env);
const logger = createLogger('executor', settings.logLevel);

await runApp(logger, () => startExecutor(settings, logger), settings.executor.graceMs + 20_000);
