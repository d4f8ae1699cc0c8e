import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { FastifyInstance } from 'fastify';

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Runledger API</title>
<link rel="icon" href="data:,">
<style>body { margin: 0 }</style>
</head>
<body>
<redoc spec-url="/docs-json" native-scrollbars></redoc>
<script src="/redoc/redoc.js"></script>
</body>
</html>
`;

/** Everything comes from here. Its styles are made in the page; its search runs in a worker made from a blob. */
const policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; worker-src blob:";

/** The one thing in the bundle that a page would fetch from elsewhere: the logo of those who made it. */
const logo = 'https://cdn.redoc.ly/redoc/logo-mini.svg';

/** ReDoc's own bundle: the build puts it beside this file, which runs from its sources in tests. */
const bundle = (): string => {
  const built = fileURLToPath(new URL('redoc.standalone.js', import.meta.url));
  const file = existsSync(built) ? built : createRequire(import.meta.url).resolve('redoc/bundles/redoc.standalone.js');
  return readFileSync(file, 'utf8').replace(logo, 'data:,');
};

/** The description as a page to read, at /redoc; nothing of it comes from elsewhere. */
export const serveRedoc = (fastify: FastifyInstance): void => {
  const script = bundle();
  fastify.get('/redoc', (_request, reply) => reply.type('text/html; charset=utf-8').header('content-security-policy', policy).send(page));
  fastify.get('/redoc/redoc.js', (_request, reply) =>
    reply.type('text/javascript; charset=utf-8').header('cache-control', 'max-age=3600').send(script),
  );
};
