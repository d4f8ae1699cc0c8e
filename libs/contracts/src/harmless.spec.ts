import { harmless } from './harmless.js';

describe('text of somebody else', () => {
  it('has nothing that a terminal obeys', () => {
    expect(harmless('\u001b[31mred\u001b[0m \u001b]0;title\u0007x\u001b]8;;http://evil\u001b\\y')).toBe('red xy');
    expect(harmless('a\u0000\u0007\u0008\r\tb\u009b31m\u202e\u2066')).toBe('a␀␇␈␍\tb\ufffd31m\ufffd\ufffd');
    expect(harmless('\u001b')).toBe('␛');
  });

  it.each(['\u001b[', '\u001b]x', '\u001b[1;'])('takes no time over %j, ten thousand times', (text) => {
    const startedAt = performance.now();
    for (let i = 0; i < 100; i++) harmless(text.repeat(5_000));
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });
});
