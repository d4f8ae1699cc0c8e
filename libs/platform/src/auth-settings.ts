import { readFileSync } from 'node:fs';
import { SettingsError } from './settings-error.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** How the gateway tells who asks; API keys are always taken. */
export type AuthSettings = {
  readonly jwt:
    | {
        readonly keys: { readonly url: string } | { readonly text: string };
        readonly algorithms: readonly string[];
        readonly issuer: string;
        readonly audience: string;
        readonly claims: { readonly tenant: string; readonly roles: string; readonly workspaces: string };
      }
    | undefined;
};

/** Whoever knows the public key could sign with the symmetric ones; `none` is no signature. */
const asymmetric: readonly string[] = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'];
const loopback: readonly string[] = ['127.0.0.1', 'localhost', '[::1]'];

const isSet = (env: Environment, name: string): boolean => (env[name] ?? '') !== '';

const flag = (env: Environment, name: string): boolean | undefined => {
  if (!isSet(env, name)) return undefined;
  const text = env[name];
  if (text === 'true' || text === 'false') return text === 'true';
  throw new SettingsError(`${name}=${text} must be true or false`);
};

const needed = (env: Environment, name: string, why: string): string => {
  const value = env[name];
  if (value) return value;
  throw new SettingsError(`${name} is needed ${why}`);
};

const keysOf = (env: Environment): { readonly url: string } | { readonly text: string } => {
  const [url, file] = [env['RUNLEDGER_JWT_JWKS_URL'], env['RUNLEDGER_JWT_KEY_FILE']];
  if (url && file) throw new SettingsError('RUNLEDGER_JWT_JWKS_URL and RUNLEDGER_JWT_KEY_FILE are both set; keys come from one of them');
  if (file) {
    try {
      return { text: readFileSync(file, 'utf8') };
    } catch (error) {
      throw new SettingsError(`RUNLEDGER_JWT_KEY_FILE=${file} can't be read: ${(error as Error).message}`);
    }
  }
  const given = needed(env, 'RUNLEDGER_JWT_JWKS_URL', "to check tokens; or RUNLEDGER_JWT_KEY_FILE, the provider's public key");
  const parsed = URL.canParse(given) ? new URL(given) : undefined;
  const isSafe = parsed?.protocol === 'https:' || (parsed?.protocol === 'http:' && loopback.includes(parsed.hostname));
  if (!isSafe) throw new SettingsError(`RUNLEDGER_JWT_JWKS_URL=${given} must be an https URL: whoever answers it decides who gets in`);
  return { url: given };
};

const jwtOf = (env: Environment): AuthSettings['jwt'] => {
  const algorithms = (env['RUNLEDGER_JWT_ALGORITHMS'] || 'RS256,ES256,EdDSA').split(',').map((name) => name.trim());
  for (const name of algorithms) {
    if (!asymmetric.includes(name)) throw new SettingsError(`RUNLEDGER_JWT_ALGORITHMS: ${name} is not one of ${asymmetric.join(', ')}`);
  }
  return {
    keys: keysOf(env),
    algorithms,
    issuer: needed(env, 'RUNLEDGER_JWT_ISSUER', 'to check tokens: who has to have made them'),
    audience: needed(env, 'RUNLEDGER_JWT_AUDIENCE', 'to check tokens: whom they have to be for'),
    claims: {
      tenant: env['RUNLEDGER_JWT_TENANT_CLAIM'] || 'tenant',
      roles: env['RUNLEDGER_JWT_ROLES_CLAIM'] || 'roles',
      workspaces: env['RUNLEDGER_JWT_WORKSPACES_CLAIM'] || 'workspaces',
    },
  };
};

/** Undefined where everybody is let in. STEPFLOW_AUTH_ENABLED is an alias of RUNLEDGER_AUTH_ENABLED. Throws SettingsError. */
export const readAuthSettings = (env: Environment): AuthSettings | undefined => {
  const [own, alias] = [flag(env, 'RUNLEDGER_AUTH_ENABLED'), flag(env, 'STEPFLOW_AUTH_ENABLED')];
  if (own !== undefined && alias !== undefined && own !== alias) {
    throw new SettingsError(`RUNLEDGER_AUTH_ENABLED=${own} and its alias STEPFLOW_AUTH_ENABLED=${alias} contradict each other; unset one of them`);
  }
  const isAsked = own ?? alias;
  const hasJwt = Object.keys(env).some((name) => name.startsWith('RUNLEDGER_JWT_') && isSet(env, name));
  if (isAsked === false && hasJwt) {
    throw new SettingsError('authentication is disabled, but RUNLEDGER_JWT_ settings say how to check tokens; unset RUNLEDGER_AUTH_ENABLED, or those');
  }
  return isAsked === true || hasJwt ? { jwt: hasJwt ? jwtOf(env) : undefined } : undefined;
};
