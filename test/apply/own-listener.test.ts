import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ListenerSet } from '../../src/apply/listener-set.ts';
import { createServiceListener } from '../../src/apply/service-listener.ts';
import type { ListenerSpec, Service } from '../../src/model/service.ts';
import { TrustedProxies } from '../../src/relay/access/trusted-proxies.ts';
import { createStreamRelay } from '../../src/relay/tcp/stream-relay.ts';
import { systemClock } from '../../src/system/clock.ts';
import { LogLimiter } from '../../src/system/log/log-limiter.ts';
import { silentLogger } from '../../src/system/log/logger.ts';
import { OwnListeners } from '../../src/system/net/own-listeners.ts';
import { Bench } from '../lifecycle/bench.ts';
import { aListener, aService, aUdpBudget } from '../support/builders.ts';
import { Datagrams, settleDatagrams } from '../support/datagrams.ts';
import { datagramsWays } from '../support/datagrams-ways.ts';
import { RUNNING, STOPPED } from '../support/fake-backend.ts';
import { freePort, freeUdpPort } from '../support/free-ports.ts';
import { Sockets } from '../support/sockets.ts';

const WAKE_MS = 100;

let bench: Bench;
let datagrams: Datagrams;
let sockets: Sockets;
let set: ListenerSet;

beforeEach(() => {
  datagrams = new Datagrams();
  sockets = new Sockets();
});
afterEach(async () => {
  set.destroy();
  await sockets.close();
  await datagrams.close();
  expect(await bench.close()).toBe(0);
});

/** A lifecycle and its listeners, as the program wires them. `isTold: false`: what is bound is kept from who asks. */
function wire({
  native,
  isTold = true,
}: {
  readonly native?: (typeof datagramsWays)[number]['native'];
  readonly isTold?: boolean;
}): void {
  const own: OwnListeners = new OwnListeners({
    clock: systemClock,
    onNews: () => bench.lifecycle.closeLoops(),
  });
  bench = new Bench({
    own: {
      explain: (protocol, endpoint) => own.explain(protocol, endpoint),
      explainOwnOf: () => undefined,
      noteDial: (socket, endpoint) => own.noteDial(socket, endpoint),
    },
  });
  bench.backend.automate({ clock: bench.clock, wakeMs: WAKE_MS, sleepMs: 100 });
  const { lifecycle, clock } = bench;
  const parts = {
    ...{
      lifecycle,
      clock,
      own,
      relay: createStreamRelay(),
      logger: silentLogger,
      udpBudget: aUdpBudget(),
      trustedProxies: new TrustedProxies(),
    },
    ...{ limiter: new LogLimiter(clock, 1_000), trackerOf: () => undefined },
    loadDatagrams: async () => native,
  };
  set = new ListenerSet({
    create: (spec, service, onDrained) => createServiceListener(spec, { ...parts, service, onDrained }),
    ...{ clock, logger: silentLogger },
    ...(isTold && { own }),
  });
}

async function openUdp(name: string, ports: { readonly listen: number; readonly target: number }) {
  const spec = aListener({ protocol: 'udp', port: ports.listen, targetPort: ports.target });
  return await open(aService({ name, listeners: [spec] }));
}

async function open(service: Service): Promise<ListenerSpec> {
  const [spec] = service.listeners;
  if (spec === undefined) throw new Error('no listener');
  set.open(spec, service);
  await set.settled();
  expect(set.status(spec).error).toBeUndefined();
  return spec;
}

describe.each(datagramsWays)('moving datagrams $way', ({ native }) => {
  test('two echo ports never answer each other, whoever sends the first datagram in the name of one', async () => {
    wire({ native });
    const [listenA, listenB] = [await freeUdpPort(), await freeUdpPort()];
    const [echoA, echoB] = [await datagrams.echo(), await datagrams.echo()];
    const ports = { listen: listenA, target: echoA.port };
    const specA = aListener({ protocol: 'udp', port: ports.listen, targetPort: ports.target });
    bench.add(aService({ name: 'a', listeners: [specA] }), STOPPED);
    await openUdp('a', ports);
    // What a forged datagram would claim is true for once: its sender has the other listener's port, until that opens.
    const forger = await datagrams.bind(() => {}, { port: listenB });
    forger.send('hello', { port: listenA });
    await bench.backend.called(1);
    await forger.close();
    bench.add(aService({ name: 'b', listeners: [aListener({ protocol: 'udp', port: listenB })] }), RUNNING);
    const specB = await openUdp('b', { listen: listenB, target: echoB.port });
    await bench.clock.advance(WAKE_MS);
    await bench.until(() => Object.keys(set.status(specB).drops).length > 0 || echoB.received.length > 0);
    await settleDatagrams();
    expect(echoA.texts).toEqual(['hello']);
    expect(echoB.texts).toEqual([]);
    expect(set.status(specB).drops).toEqual({ 'own-listener': 1 });
    expect(bench.controller('b').leases).toBe(0);
  });

  test('a datagram that somebody sends back to the listener that it came from is dropped', async () => {
    // As where an address that no interface has is translated to the listener's.
    wire({ native, isTold: false });
    const port = await freeUdpPort();
    const spec = aListener({ protocol: 'udp', port, targetPort: port });
    const { udp } = aService();
    const service = aService({ name: 'own', listeners: [spec], udp: { ...udp, readiness: 'open' } });
    bench.add(service, RUNNING);
    await open(service);
    const client = await datagrams.bind();
    client.send('hello', { port });
    await bench.until(() => Object.keys(set.status(spec).drops).length > 0);
    await settleDatagrams();
    expect(set.status(spec)).toMatchObject({ activeConnections: 1, drops: { 'own-listener': 1 } });
    // Whoever comes later is refused with that reason.
    const later = await datagrams.bind();
    later.send('hello', { port });
    await bench.until(() => set.status(spec).drops['not-ready'] !== undefined);
    expect(bench.controller('own').obstacles.between({ protocol: 'udp', port })).toBe(
      `127.0.0.1:${port} leads back to the proxy's own listener of service own`,
    );
  });

  test('a datagram port whose target is its own listener is refused with that reason', async () => {
    wire({ native });
    const port = await freeUdpPort();
    const spec = aListener({ protocol: 'udp', port, targetPort: port });
    bench.add(aService({ name: 'own', listeners: [spec], startTimeoutMs: 30_000 }), RUNNING);
    await open(aService({ name: 'own', listeners: [spec] }));
    const client = await datagrams.bind();
    client.send('hello', { port });
    await bench.until(() => Object.keys(set.status(spec).drops).length > 0);
    expect(set.status(spec)).toMatchObject({ activeConnections: 0, drops: { 'not-ready': 1 } });
    expect(bench.controller('own').obstacles.between({ protocol: 'udp', port })).toBe(
      `127.0.0.1:${port} is the proxy's own listener of service own`,
    );
  });
});

test('a connection of our own that comes in again is recognised by where it comes from', async () => {
  // As where an address that no interface has is translated to the listener's.
  wire({ isTold: false });
  const port = await freePort();
  const spec = aListener({ port, targetPort: port });
  const service = aService({ name: 'own', listeners: [spec] });
  bench.add(service, RUNNING);
  await open(service);
  const accepted = () => set.status(spec).activeConnections;
  const first = await sockets.connect(port);
  let ended = false;
  first
    .resume()
    .on('error', () => {})
    .once('end', () => {
      ended = true;
    });
  await bench.until(() => ended);
  expect(accepted()).toBe(0);
  const reason = `127.0.0.1:${port} leads back to the proxy's own listener of service own`;
  await expect(bench.client('own', port).served).rejects.toThrow(reason);
});

test('a way that is used without asking is closed when the proxy binds the port to which it leads', async () => {
  wire({});
  const port = await freePort();
  const listen = await freePort();
  const server = await sockets.listen((socket) => socket.end('hello'), { port });
  const service = aService({ name: 'web', listeners: [aListener({ port: listen, targetPort: port })] });
  bench.add(service, RUNNING);
  const client = bench.client('web', port);
  await bench.until(() => client.outcome === 'served');
  let isClosed = false;
  const close = () => {
    isClosed = true;
  };
  bench.lifecycle.openWarmPath('web', {
    port,
    user: { lastUsedMs: 0, listUses: () => [], tryClose: () => true, close },
  });
  await server.close();
  await open(aService({ name: 'other', listeners: [aListener({ port })] }));
  expect(isClosed).toBe(true);
});
