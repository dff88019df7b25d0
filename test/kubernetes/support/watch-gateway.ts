/** A way to the API server on which no watch lasts. */
import { readFileSync } from 'node:fs';
import type http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { freePort } from '../../support/free-ports.ts';
import type { ControlPlane } from './control-plane.ts';

export interface WatchGateway {
  /** Where it listens; it has the API server's own certificate. */
  readonly server: string;
  /** How many watches have ended so far. */
  ended(): number;
  close(): void;
}

/**
 * Passes on what is asked.
 * @param options.seconds how long a watch lasts.
 * @param options.gapMs how long a watch is held back before it is passed on: nobody sees then what changes.
 * @param options.how `in-order`: the API server is asked to end it by then; `broken`: its connection is cut.
 */
export async function openWatchGateway(
  plane: ControlPlane,
  options: { readonly seconds: number; readonly gapMs: number; readonly how: 'in-order' | 'broken' },
): Promise<WatchGateway> {
  const { seconds, gapMs, how } = options;
  const read = (name: string) => readFileSync(path.join(plane.folder, name));
  const agent = new https.Agent({ ca: plane.ca });
  let ended = 0;
  const receive: http.RequestListener = (asked, answer) => {
    const isWatch = new URL(asked.url ?? '', plane.server).searchParams.has('watch');
    if (!isWatch) return pass(asked, answer);
    const timer = setTimeout(() => pass(asked, answer), gapMs);
    answer.once('close', () => clearTimeout(timer));
  };
  const pass = (asked: http.IncomingMessage, answer: http.ServerResponse) => {
    const url = new URL(asked.url ?? '', plane.server);
    const isWatch = url.searchParams.has('watch');
    if (isWatch && how === 'in-order') url.searchParams.set('timeoutSeconds', String(seconds));
    const { method = 'GET', headers } = asked;
    const passedOn = https.request(url, { agent, method, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 0, response.headers);
      answer.flushHeaders();
      response.on('error', () => answer.destroy()).pipe(answer);
      const cut = () => answer.destroy();
      const timer = isWatch && how === 'broken' ? setTimeout(cut, seconds * 1_000) : undefined;
      answer.once('close', () => {
        clearTimeout(timer);
        passedOn.destroy();
        if (isWatch) ended += 1;
      });
    });
    passedOn.on('error', () => answer.destroy());
    asked.pipe(passedOn);
  };
  const server = https.createServer({ key: read('server.key'), cert: read('server.crt') }, receive);
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    server: `https://127.0.0.1:${port}`,
    ended: () => ended,
    close() {
      server.close();
      server.closeAllConnections();
      agent.destroy();
    },
  };
}
