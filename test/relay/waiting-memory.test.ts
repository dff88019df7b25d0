import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { compileAccessList } from '../../src/relay/access/access-list.ts';
import { TcpListener } from '../../src/relay/tcp/tcp-listener.ts';
import { silentLogger } from '../../src/system/log/logger.ts';
import { Bench } from '../lifecycle/bench.ts';
import { aListener, aService } from '../support/builders.ts';
import { collectGarbage } from '../support/collect-garbage.ts';
import { STOPPED } from '../support/fake-backend.ts';
import { settle } from '../support/fake-clock.ts';
import { freePort } from '../support/free-ports.ts';
import { createRelay, RELAY_KINDS } from '../support/relays.ts';

const CLIENTS = 1_000;
const MAX_BYTES_EACH = 16 * 1_024;

/** Clients from many addresses, which send 32 KiB each, and say when the system has taken it. */
const SENDERS = `
  const { connect } = require('node:net');
  const [port, count] = process.argv.slice(1).map(Number);
  let left = count;
  for (let index = 0; index < count; index++) {
    const localAddress = '127.2.' + (index >> 7) + '.' + ((index & 127) + 1);
    const client = connect({ host: '127.0.0.1', port, localAddress });
    client.on('error', () => {}).write(Buffer.alloc(32768), () => --left === 0 && process.send('sent'));
  }
`;

test.runIf(process.platform === 'linux').each(RELAY_KINDS)(
  'a client that waits for a start costs at most 16 KiB, whatever it has sent (relay: %s)',
  async (kind) => {
    const relay = await createRelay(kind);
    onTestFinished(() => relay.close());
    const bench = new Bench();
    onTestFinished(() => bench.lifecycle.close());
    bench.add(aService(), STOPPED);
    const spec = aListener({ address: '127.0.0.1', port: await freePort(), targetPort: 5432 });
    const listener = new TcpListener({
      ...{ spec, relay, logger: silentLogger, onRefused() {}, onDrained() {} },
      binding: {
        service: 'db',
        targetPort: 5432,
        access: compileAccessList({ allowList: [], blockList: [] }),
        keepAliveMs: 60_000,
        connect: (request) => bench.lifecycle.connect('db', request),
      },
    });
    await listener.open();
    onTestFinished(() => listener.destroy());
    await collectGarbage();
    const before = process.memoryUsage();
    const senders = spawn(process.execPath, ['-e', SENDERS, `${spec.port}`, `${CLIENTS}`], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    onTestFinished(async () => {
      const exited = once(senders, 'exit');
      senders.kill();
      await exited;
    });
    await once(senders, 'message');
    while (listener.activeConnections < CLIENTS) await settle();
    await collectGarbage();
    const after = process.memoryUsage();
    const bytes = after.heapUsed - before.heapUsed + after.external - before.external;
    expect(bytes / CLIENTS).toBeLessThan(MAX_BYTES_EACH);
    expect(bytes / CLIENTS).toBeGreaterThan(0);
  },
);
