import type { OpenAPIObject } from '@nestjs/swagger';
import { apiKeyIdFor } from '#libs/access';
import { derivedId } from '#libs/ledger';
import { artifactIdOf } from './artifacts.js';
import type { ExampleName } from './example-requests.js';

type Sample = { readonly lang: 'Shell'; readonly label: string; readonly source: string };
type Examples = Readonly<Record<string, { readonly value: unknown }>>;
type Operation = {
  parameters?: { readonly name: string; readonly in: string; example?: string; readonly schema?: { readonly example?: string } }[];
  readonly requestBody?: { readonly content: { readonly [type in 'application/json' | 'multipart/form-data']?: { readonly examples?: Examples } } };
  'x-codeSamples'?: readonly Sample[];
};

const keyOf = (example: string): string => `example-${example}`;

/** Of the artifact that is uploaded to an execution that has ended soon. */
const artifactFor = (tenant: string): string => artifactIdOf({ tenant, execution: derivedId(tenant, keyOf('hello')) }, keyOf('artifact'));

/** Ids of what the samples before have made; what is read of executions has ended soon, what is commanded has not. */
const idFor = (path: string, method: string, tenant: string): string => {
  if (path.includes('/artifacts/{id}')) return artifactFor(tenant);
  return path.startsWith('/api/v1/keys') ? apiKeyIdFor(tenant, keyOf('worker')) : derivedId(tenant, keyOf(exampleFor(path, method)));
};

const exampleFor = (path: string, method: string): ExampleName => {
  if (path.includes('/clarifications')) return 'release';
  if (path.endsWith('/retry')) return 'saga';
  if (path.endsWith('/rerun') || path.endsWith('/fork') || path.endsWith('/artifacts')) return 'hello';
  // What is deleted has ended, and nobody else asks for it.
  if (method === 'delete') return 'diamond';
  return method === 'post' ? 'nap' : 'hello';
};

/**
 * A curl command for every operation, each of which runs as it stands, those with a body first: their idempotency keys make the ids
 * known before they are sent. `origin`: where this server listens.
 */
export const addSamples = (document: OpenAPIObject, origin: string, tenant: string): void => {
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, value] of Object.entries(methods)) {
      const operation = value as Operation;
      let url = origin + path;
      const asked = (operation.parameters ?? []).filter((parameter) => parameter.in === 'query' && parameter.schema?.example !== undefined);
      for (const parameter of operation.parameters ?? []) {
        if (parameter.in !== 'path') continue;
        if (parameter.name === 'id') parameter.example = idFor(path, method, tenant);
        if (parameter.name === 'tenant') parameter.example = tenant;
        url = url.replace(`{${parameter.name}}`, parameter.example ?? parameter.schema?.example ?? '');
      }
      if (asked.length > 0) url = `'${url}?${asked.map(({ name, schema }) => `${name}=${schema?.example}`).join('&')}'`;
      const { 'application/json': json, 'multipart/form-data': form } = operation.requestBody?.content ?? {};
      operation['x-codeSamples'] = form ? formsOf(url, form.examples ?? {}) : samplesOf(method.toUpperCase(), url, json?.examples ?? {});
    }
  }
};

const samplesOf = (method: string, url: string, examples: Examples): readonly Sample[] => {
  const verb = method === 'GET' ? [] : [`-X ${method}`];
  if (Object.keys(examples).length === 0) return [sample('curl', [...verb, url])];
  return Object.entries(examples).map(([name, { value }]) =>
    sample(name, [
      ...(method === 'POST' ? [url, `-H 'Idempotency-Key: ${keyOf(name)}'`] : [...verb, url]),
      `-H 'Content-Type: application/json'`,
      `-d '${JSON.stringify(value, null, 2).replaceAll("'", String.raw`'\''`)}'`,
    ]),
  );
};

const formsOf = (url: string, examples: Examples): readonly Sample[] =>
  Object.entries(examples).map(([name, { value }]) =>
    sample(name, [url, `-H 'Idempotency-Key: ${keyOf(name)}'`, ...Object.entries(value as Readonly<Record<string, string>>).map(([field, text]) => `-F '${field}=${text}'`)]),
  );

const sample = (label: string, parts: readonly string[]): Sample => ({ lang: 'Shell', label, source: `curl -s ${parts.join(' \\\n  ')}` });
