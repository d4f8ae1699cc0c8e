import { fileURLToPath } from 'node:url';

const PULL_MS = 120_000;
const standInScript = fileURLToPath(new URL('stand-in.sh', import.meta.url));

/** What the test needs is not here, which says nothing about what is tested. */
export class Unavailable extends Error {}

/** Throws Unavailable unless an engine answers, with a Compose that knows what docker-compose.yml and the test use. */
export const describeEngine = async (run) => {
  const ask = (...args) =>
    run('docker', args).catch((error) => {
      throw new Unavailable(error.message);
    });
  const engine = await ask('info', '--format', '{{.ServerVersion}}');
  const compose = (await ask('compose', 'version', '--short')).trim().replace(/^v/, '');
  const [major = 0, minor = 0] = compose.split('.').map(Number);
  if (major < 2 || (major === 2 && minor < 24)) throw new Unavailable(`Docker Compose 2.24 or later is needed, not ${compose}`);
  return `Docker ${engine.trim()}, Compose ${compose}`;
};

/**
 * The image, from here or its registry. Where that can't be had: a stand-in, made of this machine's Debian mirror, and
 * `warn` is told so. Throws Unavailable when neither is to be had.
 */
export const baseImage = async (run, kind, image, warn) => {
  const isHere = (name) => run('docker', ['image', 'inspect', name]).then(() => true, () => false);
  if (await isHere(image)) return image;
  const fault = await run('docker', ['pull', '--quiet', image], { withinMs: PULL_MS }).then(() => undefined, (error) => error);
  if (!fault) return image;
  const standIn = `runledger-stand-in/${image}`;
  warn(`${image} can't be had: ${fault.message.split('\n').at(-1)}`);
  warn(`TESTED ON A STAND-IN FOR ${image}, MADE OF DEBIAN PACKAGES, INSTEAD`);
  if (await isHere(standIn)) return standIn;
  await run(standInScript, [kind, standIn]).catch((error) => {
    throw new Unavailable(`${image} is not to be had, nor a stand-in for it: ${error.message}`);
  });
  return standIn;
};

/** Where npm installs from on this machine; empty where that is npm's own default. */
export const npmSource = async (run) => {
  const configured = async (key) => (await run('npm', ['config', 'get', key])).trim().replace(/^(null|undefined)$/, '');
  return { registry: await configured('registry'), ca: process.env.NODE_EXTRA_CA_CERTS || (await configured('cafile')) };
};
