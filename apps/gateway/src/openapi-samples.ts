import type { OpenAPIObject } from '@nestjs/swagger';
import { idOf } from './idempotency-key.js';
import { type ExampleName, exampleRequests } from './plan-schema.js';

type Sample = { readonly lang: 'Shell'; readonly label: string; readonly source: string };
type Operation = { parameters?: { name: string; in: string; example?: string }[]; 'x-codeSamples'?: readonly Sample[] };

const keyOf = (name: ExampleName): string => `example-${name}`;

/** What is read in the samples has ended soon; what is commanded has not. */
const subjectOf = (method: string): ExampleName => (method === 'post' ? 'nap' : 'hello');

/**
 * A curl command for every operation, each of which runs as it stands, the requests first: their idempotency keys make the ids known
 * before they are sent. `origin`: where this server listens.
 */
export const addSamples = (document: OpenAPIObject, origin: string, tenant: string): void => {
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, value] of Object.entries(methods)) {
      const operation = value as Operation;
      const id = idOf(tenant, keyOf(subjectOf(method)));
      for (const parameter of operation.parameters ?? []) if (parameter.name === 'id') parameter.example = id;
      const url = origin + path.replace('{id}', id).replace('{name}', 'status');
      const isRequest = method === 'post' && path === '/api/v1/executions';
      operation['x-codeSamples'] = isRequest ? requestSamples(url) : [sample('curl', method === 'post' ? ['-X POST', url] : [url])];
    }
  }
};

const requestSamples = (url: string): readonly Sample[] =>
  Object.entries(exampleRequests).map(([name, body]) =>
    sample(name, [
      url,
      `-H 'Idempotency-Key: ${keyOf(name as ExampleName)}'`,
      `-H 'Content-Type: application/json'`,
      `-d '${JSON.stringify(body, null, 2).replaceAll("'", String.raw`'\''`)}'`,
    ]),
  );

const sample = (label: string, parts: readonly string[]): Sample => ({ lang: 'Shell', label, source: `curl -s ${parts.join(' \\\n  ')}` });
