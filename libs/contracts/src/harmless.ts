// oxlint-disable-next-line no-control-regex
const sequences = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]{0,4096}(?:\u0007|\u001b\\)?|[@-Z\\^_])/g;
// oxlint-disable-next-line no-control-regex
const controls = /[\u0000-\u0008\u000a-\u001f]/g;
const others = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** A line of somebody else's text that no terminal obeys: colours and other sequences are taken out, what else would steer one is a visible sign. */
export const harmless = (line: string): string =>
  line
    .replace(sequences, '')
    .replace(controls, (sign) => String.fromCharCode(0x2400 + sign.charCodeAt(0)))
    .replace(others, '\ufffd');
