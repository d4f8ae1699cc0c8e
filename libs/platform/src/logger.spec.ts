import { createLogger } from './logger.js';

it('neutralises escape sequences, of seven bits or of eight, and what reverses text; nothing is lost', () => {
  const lines: string[] = [];
  const logger = createLogger('test', 'info', { write: (line) => void lines.push(line) });
  const hostile = '\u001b[2J \u009b31m \u007f \u202egpj.exe \r\n{"level":50} é';
  logger.info({ url: hostile }, hostile);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^[^\p{Cc}\p{Cf}]*\n$/u);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ url: hostile, msg: hostile });
});
