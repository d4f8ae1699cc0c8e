import type { ExecutionSummary, TaskView } from '#libs/projections';
import type { Style } from './screen.js';

const two = (value: number): string => String(value).padStart(2, '0');

/** Local date and time, to the second. */
export const dateTime = (rfc3339: string): string => {
  const at = new Date(rfc3339);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock(rfc3339)}`;
};

/** Local time of day. */
export const clock = (rfc3339: string): string => {
  const at = new Date(rfc3339);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
};

/** Two units at most: 0.34 s, 12.3 s, 4 min 5 s, 3 h 20 min, 2 d 4 h. */
export const duration = (ms: number): string => {
  const seconds = Math.max(0, ms) / 1_000;
  if (seconds < 10) return `${seconds.toFixed(2)} s`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3_600)} h ${Math.floor((whole % 3_600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3_600)} h`;
};

/** Between two times; up to now where it has not ended, empty where it has not begun. */
export const took = (from: string | null, to: string | null): string =>
  from === null ? '' : duration((to === null ? Date.now() : Date.parse(to)) - Date.parse(from));

const styles: Readonly<Record<string, Style>> = {
  completed: 'green',
  running: 'cyan',
  paused: 'yellow',
  cancelling: 'yellow',
  cancelled: 'yellow',
  failed: 'red',
  pending: 'dim',
  skipped: 'dim',
};

/** Of an execution, a task or a step. */
export const styleOf = (status: string): Style | undefined => styles[status];

/** What an execution carries on, for people. */
export const originText = ({ kind, execution, sequence, task }: NonNullable<ExecutionSummary['origin']>): string => {
  if (kind === 'fork') return `fork of ${execution} at log sequence ${sequence}`;
  return `${kind} of ${execution}${task === null ? '' : ` from ${task}`}`;
};

/** How far a task has come, for people. */
export const progressText = ({ done, failed, total }: NonNullable<TaskView['progress']>): string =>
  `${done + failed} of ${total}${failed > 0 ? `, ${failed} failed` : ''}`;
