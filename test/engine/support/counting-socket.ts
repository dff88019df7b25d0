import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { engineAddress, engineHost } from './engine-address.ts';

export interface CountingSocket {
  /** As in DOCKER_HOST. */
  readonly host: string;
  /** Requests since the last reset. */
  count(): number;
  /** Their methods and paths, for example `GET /containers/json`. */
  requests(): readonly string[];
  reset(): void;
  /** Cuts every connection, as an engine that dies does; new ones are accepted. */
  cutConnections(): void;
  close(): Promise<void>;
}

/** A socket in front of the engine's that writes down what is asked of it. */
export async function startCountingSocket(host: string = engineHost()): Promise<CountingSocket> {
  const folder = await mkdtemp(path.join(tmpdir(), 'lpt-count-'));
  const socketPath = path.join(folder, 'docker.sock');
  const sockets = new Set<Socket>();
  let requests: string[] = [];
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const engine = connectToEngine(host);
    const read = readRequestLines((line) => requests.push(line));
    client.on('data', read);
    for (const [from, to] of [[client, engine] as const, [engine, client] as const]) {
      sockets.add(from);
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  server.listen(socketPath);
  await once(server, 'listening');
  const cutConnections = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    host: `unix://${socketPath}`,
    count: () => requests.length,
    requests: () => [...requests],
    reset() {
      requests = [];
    },
    cutConnections,
    async close() {
      cutConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Follows one connection's requests: heads, and bodies with a length. After an upgrade it reads no further. */
function readRequestLines(tell: (line: string) => void): (chunk: Buffer) => void {
  let pending = '';
  let bodyBytes = 0;
  return (chunk) => {
    pending += chunk.toString('latin1');
    for (;;) {
      const skipped = Math.min(bodyBytes, pending.length);
      pending = pending.slice(skipped);
      bodyBytes -= skipped;
      const headEnd = bodyBytes === 0 ? pending.indexOf('\r\n\r\n') : -1;
      if (headEnd < 0) return;
      const head = pending.slice(0, headEnd);
      pending = pending.slice(headEnd + 4);
      tell(head.slice(0, head.indexOf(' HTTP/')));
      const length = /^content-length: *(\d+)/im.exec(head)?.[1];
      bodyBytes = /^upgrade:/im.test(head) ? Number.POSITIVE_INFINITY : Number(length ?? 0);
    }
  };
}

function connectToEngine(host: string): Socket {
  const address = engineAddress(host);
  if ('socketPath' in address) return createConnection({ path: address.socketPath, allowHalfOpen: true });
  return createConnection({ ...address, allowHalfOpen: true });
}
