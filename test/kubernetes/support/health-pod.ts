import { once } from 'node:events';
import http from 'node:http';

export interface HealthPod {
  /** How often it was asked for `/health`. */
  readonly asked: () => number;
  /** Resolves when it was asked so often. */
  untilAsked(count: number): Promise<void>;
  recover(): void;
  close(): Promise<void>;
}

/** A pod that answers `hello`, but to `/health` 503 until it recovers; whoever starts it closes it. */
export async function playHealthPod(address: string, port: number): Promise<HealthPod> {
  let asked = 0;
  let isWell = false;
  const server = http.createServer(({ url }, response) => {
    if (url !== '/health') {
      response.end('hello');
      return;
    }
    response.writeHead(isWell ? 204 : 503).end();
    asked += 1;
    server.emit('asked');
  });
  server.listen(port, address);
  await once(server, 'listening');
  return {
    asked: () => asked,
    async untilAsked(count) {
      while (asked < count) await once(server, 'asked');
    },
    recover() {
      isWell = true;
    },
    async close() {
      server.close().closeAllConnections();
    },
  };
}
