export { type ApiKey, type NewApiKey, accepts, apiKeyIdFor, apiKeyIdOf, createApiKey, isApiKeyToken, principalOfKey } from './api-key.js';
export { type ApiKeys, Authenticator } from './authenticator.js';
export { type AccessCode, AccessError } from './credentials.js';
export { type JwtSettings, JwtVerifier } from './jwt.js';
export { type Principal, anonymous, may } from './principal.js';
export { type Permission, type Role, grants, isPermission, isRole, permissions, roles, rolesWith } from './roles.js';
