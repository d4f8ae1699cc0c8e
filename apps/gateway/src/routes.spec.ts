import { Routes } from './routes.js';

const routes = new Routes();
routes.add('/', 'GET');
routes.add('/a/:id', ['GET', 'HEAD']);
routes.add('/a/:id/stop', 'POST');
routes.add('/a/:id', 'DELETE');
routes.add('/files/*', 'GET');
routes.add('/v1.0', 'GET');

it.each([
  ['/', ['GET']],
  ['/a/1', ['DELETE', 'GET', 'HEAD']],
  ['/a/1?b=/stop', ['DELETE', 'GET', 'HEAD']],
  ['/a/1/stop', ['POST']],
  ['/a', []],
  ['/a/1/2', []],
  ['/v1x0', []],
  ['/files/x', []],
])('knows the methods of %s', (url, methods) => {
  expect(routes.methodsOf(url)).toEqual(methods);
});
