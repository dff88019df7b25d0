/** A bare server of node:http: `node node-answers.mjs PORT BYTES`. It answers each request by itself, with so many bytes. */
import { createServer } from 'node:http';

const [port, bytes] = process.argv.slice(2).map(Number);
const body = 'x'.repeat(bytes);

createServer((_request, response) => {
  response.writeHead(200, ['Content-Type', 'text/plain', 'Content-Length', String(bytes)]);
  response.end(body, 'latin1');
}).listen(port, '127.0.0.1');
