/**
 * Fingerprints by key, in maps of which each is larger than the one before it in the chain: a key more costs a copy of few others on
 * average, however many there are, and what had the shorter chain keeps it. Undefined holds none.
 */
export type AppliedKeys = { readonly keys: ReadonlyMap<string, string>; readonly older: AppliedKeys } | undefined;

export const withKey = (applied: AppliedKeys, key: string, fingerprint: string): AppliedKeys => {
  let keys = new Map([[key, fingerprint]]);
  let older = applied;
  for (; older && older.keys.size <= keys.size; older = older.older) keys = new Map([...older.keys, ...keys]);
  return { keys, older };
};

export const fingerprintOf = (applied: AppliedKeys, key: string): string | undefined => {
  for (let part = applied; part; part = part.older) {
    const found = part.keys.get(key);
    if (found !== undefined) return found;
  }
  return undefined;
};
