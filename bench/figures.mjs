/** Of samples in any order, the one that this share of them does not exceed; undefined without samples. */
export const percentile = (samples, share) => {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
};

const inOneCell = (value) => (value !== null && typeof value === 'object' ? JSON.stringify(value) : value);

/** On standard output: rows, or the figures of one run, as a table, or as JSON. */
export const print = (figures, json) => {
  if (json) console.log(JSON.stringify(figures, null, 2));
  else if (Array.isArray(figures)) console.table(figures);
  else console.table(Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, inOneCell(value)])));
};
