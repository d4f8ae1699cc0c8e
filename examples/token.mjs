// Signs a JSON Web Token with a private key of your own, as an identity provider would: to try authentication out, not to run it.
//   node examples/token.mjs id.pem --sub ada --tenant acme --roles admin [--workspaces w1,w2] [--minutes 60]
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { SignJWT } from 'jose';

const text = { type: 'string' };
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { sub: text, tenant: text, roles: text, workspaces: text, minutes: { ...text, default: '60' }, issuer: { ...text, default: 'https://id.example' } },
});
const [file] = positionals;
if (!file || !values.sub) {
  console.error('usage: node examples/token.mjs KEY.pem --sub NAME [--tenant T] [--roles R,…] [--workspaces W,…] [--minutes N]');
  process.exit(2);
}
const words = (list) => list?.split(',');
const claims = { tenant: values.tenant, roles: words(values.roles), workspaces: words(values.workspaces) };
const token = new SignJWT(JSON.parse(JSON.stringify(claims)))
  .setProtectedHeader({ alg: 'EdDSA' })
  .setSubject(values.sub)
  .setIssuer(values.issuer)
  .setAudience('runledger')
  .setExpirationTime(`${String(values.minutes)}m`);
console.log(await token.sign(createPrivateKey(readFileSync(file))));
