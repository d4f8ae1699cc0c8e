/** Ctrl-C at a terminal reaches this process twice when npm stands in between: by the terminal and passed on by npm. */
const SAME_REQUEST_MS = 500;

/** Calls `first` at the first INT, TERM or HUP, and `again` at one that comes later. Returns what ends that. */
export function onStopSignals(first: (name: string) => void, again: () => void): () => void {
  let firstAt: number | undefined;
  const heard = (name: string): void => {
    if (firstAt === undefined) {
      firstAt = Date.now();
      first(name);
    } else if (Date.now() - firstAt >= SAME_REQUEST_MS) {
      again();
    }
  };
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of names) process.on(name, heard);
  return () => {
    for (const name of names) process.off(name, heard);
  };
}
