import { parseArgs } from 'node:util';

/** What the command line says over these defaults: each option is a number, a text or a flag, as its default is. */
export const optionsOf = (defaults) => {
  const declared = Object.entries(defaults).map(([name, value]) =>
    typeof value === 'boolean' ? [name, { type: 'boolean', default: value }] : [name, { type: 'string', default: String(value) }],
  );
  const { values } = parseArgs({ options: Object.fromEntries(declared) });
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, typeof defaults[name] === 'number' ? Number(value) : value]));
};
