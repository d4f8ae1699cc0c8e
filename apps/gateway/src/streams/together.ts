/** Those who ask for the same while it is read get the same answer. */
export const together = <T>(reading: Map<string, Promise<T>>, name: string, read: () => Promise<T>): Promise<T> => {
  const known = reading.get(name);
  if (known) return known;
  const begun = read().finally(() => reading.delete(name));
  reading.set(name, begun);
  return begun;
};
