import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { engineAddress, engineHost } from './engine-address.ts';

export interface SwallowingSocket {
  /** As in DOCKER_HOST. */
  readonly host: string;
  /** How many answers were swallowed. */
  count(): number;
  /** From now on nothing of the event streams passes, although they stay open. */
  freezeEvents(): void;
  /** Cuts the event streams that are open in the middle of the next line; resolves when that has happened. */
  cutNextEvent(): Promise<void>;
  /** From now on everything is taken and nothing answered, until it is told to answer what comes then. */
  setSilent(isSilent: boolean): void;
  close(): Promise<void>;
}

/** A socket in front of the engine's that forwards all requests and swallows the answers to those that match `pattern`. */
export async function startSwallowingSocket(pattern: RegExp | undefined): Promise<SwallowingSocket> {
  const folder = await mkdtemp(path.join(tmpdir(), 'lpt-swallow-'));
  const socketPath = path.join(folder, 'docker.sock');
  let swallowed = 0;
  let isFrozen = false;
  let isSilent = false;
  let onCut: (() => void) | undefined;
  const server = createServer((request, response) => {
    if (isSilent) return;
    const line = `${request.method} ${request.url}`;
    const { method, url, headers } = request;
    const forwarded = httpRequest(
      { ...engineAddress(engineHost()), method, path: url, headers },
      (answer) => {
        if (pattern?.test(line)) {
          swallowed += 1;
          answer.resume();
          return;
        }
        response.writeHead(answer.statusCode ?? 500, answer.headers).flushHeaders();
        const isStream = line.startsWith('GET /events');
        answer.on('data', (chunk: Buffer) => {
          if (!isStream) response.write(chunk);
          else if (onCut !== undefined) {
            response.write(chunk.subarray(0, chunk.length / 2), () => response.destroy());
            onCut();
          } else if (!(isFrozen || isSilent)) response.write(chunk);
        });
        answer.on('end', () => response.end());
        answer.on('error', () => response.destroy());
      },
    );
    forwarded.on('error', () => response.destroy());
    response.on('close', () => forwarded.destroy());
    request.pipe(forwarded);
  });
  server.listen(socketPath);
  await once(server, 'listening');
  return {
    host: `unix://${socketPath}`,
    count: () => swallowed,
    freezeEvents() {
      isFrozen = true;
    },
    async cutNextEvent() {
      await new Promise<void>((resolve) => {
        onCut = resolve;
      });
      onCut = undefined;
    },
    setSilent(silent) {
      isSilent = silent;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true, force: true });
    },
  };
}
