import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The body of one event, as it came. */
export type ReceivedEvent = Readonly<Record<string, string | number>>;

export interface WebhookReceiver {
  readonly url: string;
  /** What came so far, in order of arrival. */
  readonly events: readonly ReceivedEvent[];
  of(event: string): readonly ReceivedEvent[];
  close(): void;
}

/**
 * A webhook's other end on this machine.
 * @param options.hangs it takes events and never answers.
 * @param options.status what it answers; default: 200.
 */
export async function startWebhookReceiver(
  options: { readonly hangs?: true; readonly status?: number } = {},
): Promise<WebhookReceiver> {
  const events: ReceivedEvent[] = [];
  const server = createServer(async (request, response) => {
    const body = (await request.toArray()).join('');
    if (request.method === 'POST' && request.headers['content-type'] === 'application/json')
      events.push(JSON.parse(body));
    if (options.hangs !== true) response.writeHead(options.status ?? 200).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/hook`,
    events,
    of: (event) => events.filter((received) => received['event'] === event),
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
