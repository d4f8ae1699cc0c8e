import { isIP } from 'node:net';
import { SettingsError } from './settings-error.js';

export type Environment = Readonly<Record<string, string | undefined>>;

export const integer = (env: Environment, name: string, fallback: number, min: number, max: number): number => {
  const text = env[name];
  if (text === undefined || text === '') return fallback;
  const value = Number(text);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new SettingsError(`${name}=${text} is not an integer from ${min} to ${max}; unset it for the default ${fallback}`);
};

export const oneOf = <T extends string>(env: Environment, name: string, known: readonly T[], fallback: T): T => {
  const text = env[name];
  if (text === undefined || text === '') return fallback;
  if ((known as readonly string[]).includes(text)) return text as T;
  throw new SettingsError(`${name}=${text} is not one of ${known.join(', ')}`);
};

/** Separated by commas; empty parts do not count. */
export const list = (env: Environment, name: string): readonly string[] =>
  (env[name] ?? '').split(',').map((part) => part.trim()).filter((part) => part !== '');

/** Addresses and networks. Throws SettingsError. */
export const networks = (env: Environment, name: string): readonly string[] => {
  const all = list(env, name);
  for (const network of all) {
    const [address = '', bits, ...rest] = network.split('/');
    const most = isIP(address) === 6 ? 128 : 32;
    const isRight = isIP(address) > 0 && rest.length === 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most));
    if (!isRight) throw new SettingsError(`${name}: ${network} is neither an address nor a network such as 10.0.0.0/8`);
  }
  return all;
};
