import { eventually } from './eventually.js';

describe('eventually', () => {
  it('returns the first truthy answer', async () => {
    const answers = [undefined, false, 0, 'there', 'later'];
    await expect(eventually(() => answers.shift(), { what: 'an answer' })).resolves.toBe('there');
    expect(answers).toEqual(['later']);
  });

  it('takes an error for "not yet"', async () => {
    let calls = 0;
    const check = async (): Promise<number> => {
      calls += 1;
      if (calls < 3) throw new Error('too early');
      return calls;
    };
    await expect(eventually(check, { what: 'three calls' })).resolves.toBe(3);
  });

  it('says what it waited for and what the last check answered', async () => {
    await expect(eventually(() => false, { timeoutMs: 30, what: 'the end of the world' })).rejects.toThrow(
      'waited 30 ms in vain for the end of the world: the last check answered false',
    );
  });

  it('says what the last check threw', async () => {
    const check = (): boolean => {
      throw new Error('connection refused');
    };
    await expect(eventually(check, { timeoutMs: 30, what: 'a server' })).rejects.toThrow(
      'the last check threw connection refused',
    );
  });

  it('fails in time when a check hangs', async () => {
    const hangs = (): Promise<boolean> => new Promise(() => undefined);
    await expect(eventually(hangs, { timeoutMs: 30, what: 'nothing' })).rejects.toThrow('the check never came back');
  });
});
