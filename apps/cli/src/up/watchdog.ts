// Ends what `up` has started when `up` itself dies without doing so. It learns of that by the end of its standard
// input, on which `up` writes, as one line of JSON, the whole list of its processes whenever that changes. The list that there
// is when it starts comes with it: `up` may die before it has written anything.
import { createInterface } from 'node:readline';
import { end } from './process-ref.js';
import { WATCHED, type Watched } from './watched.js';

let watched = JSON.parse(process.env[WATCHED] ?? '') as Watched;

for await (const line of createInterface({ input: process.stdin })) watched = JSON.parse(line) as Watched;

// Apps first: to end in order they need the broker.
await end(watched.apps, watched.stopMs);
await end(watched.broker, watched.stopMs);
