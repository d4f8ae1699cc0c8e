/** A projector that was stopped for longer answers so much later what it had been asked. */
const ANSWERS_LATE_MS = 15_000;

/** What no process may write into its log. */
export function* ofOutput(name: string, output: string): Generator<string> {
  const pattern = name === 'nats-server' ? /^.*(violation|panic).*$/gim : /^.*(ALARM|execution halted|"msg":"a bug).*$/gm;
  for (const [line] of output.matchAll(pattern)) if (!isLateAnswer(line, output)) yield `${name} has logged: ${line.slice(0, 500)}`;
}

/**
 * Whoever is asked may answer once, as the broker remembers while it runs: where it was killed in between it refuses the answer, for which nobody waits any more, as who
 * asked has lost its connection, too.
 */
const isLateAnswer = (line: string, output: string): boolean => {
  if (!/runledger projector queries" .* Publish Violation - Subject "_INBOX_/.test(line)) return false;
  const [, pid = '', at = ''] = /^\[(\d+)\] (\S+ \S+) /.exec(line) ?? [];
  const started = new RegExp(`^\\[${pid}\\] (\\S+ \\S+) .*Starting nats-server`, 'm').exec(output)?.[1];
  return started !== undefined && Date.parse(at) - Date.parse(started) < ANSWERS_LATE_MS;
};
