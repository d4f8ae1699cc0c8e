/** A line of a secret with several that is shorter than this says too little to be hidden by itself. */
const MIN_LINE_LENGTH = 8;
/** What `base64` and OpenSSL break their lines at. */
const LINE_LENGTHS = [76, 64] as const;

const bytes = (text: string): Buffer => Buffer.from(text);

/** The characters of its base64 that are the value's alone, whatever stands before and behind it in what was encoded. */
function* base64Forms(value: Buffer): Generator<string> {
  for (const before of [0, 1, 2]) {
    const encoded = Buffer.concat([Buffer.alloc(before), value]).toString('base64').replaceAll('=', '');
    const own = encoded.slice(Math.ceil((before * 8) / 6), Math.floor(((before + value.length) * 8) / 6));
    yield own;
    yield own.replaceAll('+', '-').replaceAll('/', '_');
  }
  const whole = value.toString('base64');
  yield whole;
  yield value.toString('base64url');
  for (const length of LINE_LENGTHS) yield whole.replace(new RegExp(`.{${length}}(?=.)`, 'g'), '$&\n');
}

function* urlForms(value: string): Generator<string> {
  const component = encodeURIComponent(value);
  const strict = component.replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
  const form = new URLSearchParams({ '': value }).toString().slice(1);
  for (const encoded of [component, strict, form, encodeURI(value)]) {
    yield encoded;
    yield encoded.replace(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase());
  }
}

function* jsonForms(value: string): Generator<string> {
  const plain = JSON.stringify(value).slice(1, -1);
  const ascii = plain.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  for (const escaped of [plain, ascii]) {
    yield escaped;
    yield escaped.replaceAll('/', String.raw`\/`);
  }
}

/** As a server has it that takes headers for Latin-1, which HTTP says they are, where they were sent as UTF-8. */
const misread = (value: string): string => bytes(value).toString('latin1');

function* formsOf(value: string): Generator<Buffer> {
  yield bytes(value);
  // As a header carries it.
  if (/^[\0-\xff]*$/.test(value)) yield Buffer.from(value, 'latin1');
  for (const form of base64Forms(bytes(value))) yield bytes(form);
  for (const form of urlForms(value)) yield bytes(form);
  for (const form of jsonForms(value)) yield bytes(form);
}

/**
 * Every form in which a secret is looked for, each once: itself, without the white space around it, each longer line of several, and as
 * base64 (also amid other data, and broken into lines), percent-encoded and JSON-escaped.
 */
export const visibleForms = (value: string): readonly Buffer[] => {
  const trimmed = value.trim();
  const lines = trimmed.split(/\r?\n/);
  const forms = [value, trimmed].flatMap((text) => [text, misread(text)]).flatMap((text) => [...formsOf(text)]);
  if (lines.length > 1) forms.push(...lines.map((line) => line.trim()).filter((line) => line.length >= MIN_LINE_LENGTH).map(bytes));
  return [...new Map(forms.map((form) => [form.toString('latin1'), form])).values()];
};
