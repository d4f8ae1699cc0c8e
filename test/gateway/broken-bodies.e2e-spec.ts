import { gzipSync } from 'node:zlib';
import { type Service, executions, startService } from './service.js';

let service: Service;
let execution: string;
beforeAll(async () => {
  service = await startService();
  const plan = { name: 'files', tasks: [{ id: 'a', runner: 'command', input: { argv: ['true'] } }] };
  execution = String((await service.post(executions, { plan })).body['id']);
}, 30_000);
afterAll(() => service.stop());

const multipart = 'multipart/form-data; boundary=b';
const whole = gzipSync(`--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\nabc\r\n--b--\r\n`);

/** Nothing catches what a stream says to nobody: it ends the process, which is the test's here. */
describe('a body that is not the gzip that it claims to be', () => {
  it.each([
    ['in place of a file', () => `${executions}/${execution}/artifacts`, multipart, 400, 'MULTIPART_INVALID'],
    ['for an execution that is not there', () => `${executions}/nope/artifacts`, multipart, 404, 'EXECUTION_NOT_FOUND'],
    ['where no file is taken', () => executions, multipart, 415, 'MEDIA_TYPE_UNSUPPORTED'],
    ['of a type that nobody reads', () => executions, 'text/html', 415, 'MEDIA_TYPE_UNSUPPORTED'],
    ['in place of JSON', () => executions, 'application/json', 400, 'BODY_NOT_JSON'],
  ])('%s is refused, and the gateway goes on', async (_, path, contentType, status, code) => {
    for (const body of [Buffer.from('no gzip at all'), whole.subarray(0, whole.length - 12)]) {
      const answer = await fetch(service.url + path(), { method: 'POST', body, headers: { 'content-type': contentType, 'content-encoding': 'gzip' } });
      expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([status, code]);
      expect((await service.get(`${executions}/${execution}`)).status).toBe(200);
    }
  });
});
