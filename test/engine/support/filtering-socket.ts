import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { engineAddress, engineHost } from './engine-address.ts';

export interface FilteringSocket {
  /** As in DOCKER_HOST. */
  readonly host: string;
  /** What was refused, for example `GET /containers/…/stats`, without version and query. */
  refused(): readonly string[];
  close(): Promise<void>;
}

/** What HAProxy answers, which the usual socket proxies are made of. */
const FORBIDDEN =
  '<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n</body></html>\n';

/**
 * A socket proxy: lets through what `isAllowed` says, by method and path without the API's version, and refuses all else with 403.
 * The caller closes it.
 */
export async function startFilteringSocket(
  isAllowed: (method: string, path: string) => boolean,
  { host = engineHost() }: { readonly host?: string } = {},
): Promise<FilteringSocket> {
  const folder = await mkdtemp(path.join(tmpdir(), 'lpt-filter-'));
  const socketPath = path.join(folder, 'docker.sock');
  const refused: string[] = [];
  const server = createServer((asked, answer) => {
    const { method = 'GET', url = '/', headers } = asked;
    const what = url.replace(/^\/v\d+\.\d+(?=\/)/, '').replace(/\?.*/, '');
    if (!isAllowed(method, what)) {
      refused.push(`${method} ${what}`);
      asked.resume();
      answer.writeHead(403, { 'content-type': 'text/html', 'cache-control': 'no-cache' }).end(FORBIDDEN);
      return;
    }
    const forwarded = request({ ...engineAddress(host), method, path: url, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      answer.flushHeaders();
      response.on('error', () => answer.destroy()).pipe(answer);
    });
    forwarded.on('error', () => answer.destroy());
    answer.on('close', () => forwarded.destroy());
    asked.pipe(forwarded);
  });
  server.listen(socketPath);
  await once(server, 'listening');
  return {
    host: `unix://${socketPath}`,
    refused: () => [...refused],
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true, force: true });
    },
  };
}
