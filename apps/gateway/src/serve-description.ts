import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import type { Settings } from '#libs/platform';
import { addSamples } from './openapi-samples.js';
import { serveRedoc } from './redoc.js';

/** Where a client on this machine finds a server that listens there. */
const originOf = (host: string, port: number): string => {
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`;
};

/** The description at /docs-json, a page to try it out at /docs and one to read at /redoc. `tenant`: the one that examples are of. */
export const serveDescription = (app: NestFastifyApplication, version: string, { host, port, tenant }: Settings): void => {
  const description = new DocumentBuilder()
    .setTitle('Runledger')
    .setDescription(
      'Durable execution: every fact about a run is an event in one log.\n\nThe samples run as they stand, those that request executions first: the ' +
        'others read and command what these have made. Once such an execution has ended, give its request another Idempotency-Key, and take the id of the answer.',
    )
    .setVersion(version)
    .build();
  const document = SwaggerModule.createDocument(app, description, {
    autoTagControllers: false,
    // What generated clients name their methods by: executionsRequest, executionsList …
    operationIdFactory: (controller, method) => {
      const name = controller.replace(/Controller$/, '');
      return name.charAt(0).toLowerCase() + name.slice(1) + method.charAt(0).toUpperCase() + method.slice(1);
    },
  });
  addSamples(document, originOf(host, port), tenant);
  SwaggerModule.setup('docs', app, document);
  serveRedoc(app.getHttpAdapter().getInstance());
};
