export { announceReady, reportStuckWrites, runApp } from './lifecycle.js';
export { type Logger, NestLogger, createLogger } from './logger.js';
export { type Settings, SettingsError, readSettings } from './settings.js';
