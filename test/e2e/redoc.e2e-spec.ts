import type { Browser } from 'playwright-core';
import { type Service, executions, startService } from '../gateway/service.js';
import { launchBrowser } from './browser.js';

let service: Service;
let browser: Browser | undefined;
beforeAll(async () => {
  service = await startService();
  browser = await launchBrowser('what a browser shows');
}, 60_000);
afterAll(async () => {
  await browser?.close();
  await service.stop();
});

it('shows the API at /redoc, and takes nothing from anywhere else', async () => {
  const page = await browser?.newPage();
  if (!page) return;
  const asked: string[] = [];
  const errors: string[] = [];
  page.on('request', (request) => asked.push(request.url()));
  page.on('pageerror', (error) => errors.push(error.message));
  await page.goto(`${service.url}/redoc`);
  await page.getByRole('heading', { name: 'Request an execution of a plan' }).waitFor();
  await page.getByText(executions, { exact: true }).first().waitFor();
  await page.getByText('curl -s', { exact: false }).first().waitFor();
  // Its search runs in a worker.
  await page.getByPlaceholder('Search...').fill('resume');
  await page.getByRole('search').getByText('Resume a paused execution').first().waitFor();
  expect(errors).toEqual([]);
  expect(asked.length).toBeGreaterThan(2);
  expect(asked.filter((url) => !url.startsWith(service.url) && !/^(blob|data):/.test(url))).toEqual([]);
}, 60_000);
