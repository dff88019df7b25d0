import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { compileAccessList } from '../../src/relay/access/access-list.ts';
import { withDeafPort } from '../support/deaf-port.ts';
import { createSpliceRelay } from '../support/relays.ts';
import { Sockets } from '../support/sockets.ts';

test.runIf(process.platform === 'linux')(
  'the relay thread passes over an upstream that swallows what it is sent, and tries it last from then on',
  async () => {
    const sockets = new Sockets();
    onTestFinished(() => sockets.close());
    const relay = await createSpliceRelay();
    onTestFinished(() => relay.close());
    const returned: Socket[] = [];
    await withDeafPort(sockets, async (port) => {
      const upstream = await sockets.listen((socket) => socket.write('hello'), { host: '127.0.0.2', port });
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      const listening = server.address() as { port: number };
      const unprepare = relay.prepare();
      const route = relay.openRoute(server, {
        upstreams: ['127.0.0.1', '127.0.0.2'].map((host) => ({ host, port })),
        access: compileAccessList({ allowList: [], blockList: [] }).ranges,
        onUse: () => {},
        onReturned: (client) => void returned.push(client),
        onLost: () => {},
        keepAliveMs: 60_000,
        budgetMs: 30_000,
        service: 0,
        name: 'db',
      });
      server.close();
      expect(route).toBeDefined();
      const tookMs: number[] = [];
      for (let index = 0; index < 4; index++) {
        const begunMs = performance.now();
        const client = await sockets.connect(listening.port);
        await once(client, 'data');
        tookMs.push(performance.now() - begunMs);
      }
      const [first = 0, ...later] = tookMs;
      expect(first).toBeGreaterThanOrEqual(240);
      expect(first).toBeLessThan(1_900);
      expect(Math.min(...later)).toBeLessThan(100);
      expect(Math.max(...later)).toBeLessThan(first);
      expect(returned).toEqual([]);
      expect(upstream.sockets).toHaveLength(4);
      route?.destroy();
      unprepare();
    });
  },
);
