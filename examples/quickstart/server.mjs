// A web server that takes half a second to come up, as many real ones do.
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const startedAt = new Date().toISOString();
const server = createServer((_request, response) => {
  response.end(`hello from a process that was started at ${startedAt}\n`);
});

await sleep(500);
server.listen(3000, '127.0.0.1');
