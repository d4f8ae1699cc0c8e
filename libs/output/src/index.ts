export { type Level, LineReader, MAX_LINE, type OutputLine, levels } from './lines.js';
export { logText } from './log-text.js';
