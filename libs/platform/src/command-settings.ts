import { resolve } from 'node:path';
import { type Environment, integer, list, oneOf } from './setting-readers.js';
import { SettingsError } from './settings-error.js';

/** What commands may do where no policy of their tenant says otherwise, and what holds them. */
export type CommandSettings = {
  /** `auto` goes without bubblewrap where there is none, `required` does not start then, `off` never uses it. */
  readonly sandbox: 'auto' | 'required' | 'off';
  /** A file of policies per tenant; absolute. */
  readonly policies: string | undefined;
  /** `name`, `uid` or `uid:gid`. */
  readonly user: string | undefined;
  readonly readable: readonly string[];
  /** Undefined: any. */
  readonly programs: readonly string[] | undefined;
  readonly network: 'never' | 'requested' | 'always';
  /** What is absent is not limited. */
  readonly limits: Readonly<Partial<Record<LimitSetting, number>>>;
};

/** Each with its least, its most and its default; 0 is no limit. */
const LIMITS = {
  cpuSeconds: ['RUNLEDGER_COMMAND_CPU_SECONDS', 1, 10_000_000, 0],
  memoryBytes: ['RUNLEDGER_COMMAND_MEMORY_BYTES', 2 ** 20, 2 ** 50, 0],
  openFiles: ['RUNLEDGER_COMMAND_OPEN_FILES', 16, 2 ** 20, 0],
  processes: ['RUNLEDGER_COMMAND_PROCESSES', 4, 2 ** 20, 1_024],
  fileSizeBytes: ['RUNLEDGER_COMMAND_FILE_BYTES', 512, 2 ** 50, 0],
  outputBytes: ['RUNLEDGER_COMMAND_OUTPUT_BYTES', 1, 2 ** 31 - 1, 8 * 2 ** 20],
  timeMs: ['RUNLEDGER_COMMAND_TIME_MS', 1, 2 ** 31 - 1, 0],
  tmpBytes: ['RUNLEDGER_COMMAND_TMP_BYTES', 4_096, 2 ** 50, 256 * 2 ** 20],
} as const;

type LimitSetting = keyof typeof LIMITS;

/** Throws SettingsError. */
export function readCommandSettings(env: Environment): CommandSettings {
  const programs = list(env, 'RUNLEDGER_COMMAND_PROGRAMS');
  const wrong = programs.find((program) => program.includes('/') && !program.startsWith('/'));
  if (wrong !== undefined) {
    throw new SettingsError(`RUNLEDGER_COMMAND_PROGRAMS names ${wrong}: give names, found along the PATH, or absolute paths`);
  }
  const limits = Object.entries(LIMITS).map(([limit, [name, min, max, fallback]]) => {
    const value = env[name] === '0' ? 0 : integer(env, name, fallback, min, max);
    return [limit, value] as const;
  });
  return {
    sandbox: oneOf(env, 'RUNLEDGER_SANDBOX', ['auto', 'required', 'off'], 'auto'),
    policies: env['RUNLEDGER_POLICIES'] ? resolve(env['RUNLEDGER_POLICIES']) : undefined,
    user: env['RUNLEDGER_COMMAND_USER'] || undefined,
    readable: list(env, 'RUNLEDGER_COMMAND_READABLE').map((path) => resolve(path)),
    programs: programs.length > 0 ? programs : undefined,
    network: oneOf(env, 'RUNLEDGER_COMMAND_NETWORK', ['never', 'requested', 'always'], 'never'),
    limits: Object.fromEntries(limits.filter(([, value]) => value !== 0)),
  };
}
