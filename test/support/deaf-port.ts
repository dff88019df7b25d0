import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Sockets } from './sockets.ts';

const DEAF_SERVER = `
const server = require('node:net').createServer((socket) => socket.on('error', () => {}));
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(server.address().port));
`;

/**
 * Does `task` with a port of 127.0.0.1 that neither accepts nor refuses, as behind a network that swallows all.
 * @param before is done while the port still accepts.
 */
export async function withDeafPort(
  sockets: Sockets,
  task: (port: number) => Promise<void>,
  before: (port: number) => Promise<void> = async () => {},
): Promise<void> {
  const deaf = spawn(process.execPath, ['-e', DEAF_SERVER]);
  const [line] = await once(deaf.stdout, 'data');
  const port = Number(String(line));
  try {
    await before(port);
    deaf.kill('SIGSTOP');
    // With its queue full the kernel answers no more.
    const fillers = Array.from({ length: 8 }, () => sockets.own(connect(port, '127.0.0.1')));
    for (const filler of fillers) filler.on('error', () => {});
    await Promise.race(fillers.map((filler) => once(filler, 'connect')));
    await task(port);
  } finally {
    deaf.kill('SIGKILL');
    await once(deaf, 'exit');
  }
}
