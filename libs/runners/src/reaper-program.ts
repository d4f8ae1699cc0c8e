/**
 * What the reaper runs, as `node --input-type=module -e`: text, so that it needs no file of its own beside the compiled
 * lib. Its input is "+<group>" and "-<group>" lines; the input ends when its executor does, however that came about.
 * Then it kills the groups it knows, and on Linux every process with the executor's marker, until none is found twice.
 * Signals sent to stop a whole service pass it by: its work begins when the executor is gone.
 */
export const reaperProgram = String.raw`
import { readdirSync, readFileSync } from 'node:fs';

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});

const marker = '\0RUNLEDGER_EXECUTOR=' + process.argv[1] + '\0';
const groups = new Set();
let rest = '';

process.stdin.setEncoding('latin1');
process.stdin.on('data', (text) => {
  const lines = (rest + text).split('\n');
  rest = lines.pop();
  for (const line of lines) {
    const group = Number(line.slice(1));
    if (!Number.isInteger(group) || group <= 1) continue;
    if (line[0] === '+') groups.add(group);
    if (line[0] === '-') groups.delete(group);
  }
});
process.stdin.once('close', () => {
  for (const group of groups) kill(-group);
  sweep(0, Date.now() + 60000);
});

function kill(target) {
  try {
    process.kill(target, 'SIGKILL');
  } catch {}
}

function environment(pid) {
  try {
    return '\0' + readFileSync('/proc/' + pid + '/environ', 'latin1');
  } catch {
    return '';
  }
}

function marked() {
  try {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && environment(name).includes(marker));
  } catch {
    return [];
  }
}

function sweep(clean, until) {
  const pids = marked();
  for (const pid of pids) kill(Number(pid));
  const now = pids.length === 0 ? clean + 1 : 0;
  if (now >= 2 || Date.now() > until) process.exit();
  setTimeout(sweep, 50, now, until);
}
`;
