export { EXIT_MISCONFIGURED, announceReady, reportStuckWrites, runApp } from './lifecycle.js';
export { type Logger, NestLogger, createLogger } from './logger.js';
export type { AuthSettings } from './auth-settings.js';
export { type NatsSettings, readNatsSettings } from './nats-settings.js';
export type { Environment } from './setting-readers.js';
export { SettingsError } from './settings-error.js';
export { type Settings, readSettings } from './settings.js';
export { type LimitName, type Rate, type TenantPolicies, type TenantPolicy, type VerbClass } from './tenant-policies.js';
