/** Asleep, woken by a client, asleep again: with the built program and the rights that the example gives. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { get } from '../engine/support/http.ts';
import { expectSteeredByCommands } from '../engine/support/steer-by-command.ts';
import { connectTcp } from '../engine/support/tcp.ts';
import { openUdp } from '../engine/support/udp.ts';
import { freePort, freePorts } from '../support/free-ports.ts';
import { listReadyAddresses } from './support/endpoints.ts';
import { type KubeBed, openKubeBed, type TestWorkload } from './support/kube-bed.ts';
import type { WorkloadSpec } from './support/manifests.ts';

/** A first byte comes at most so long after the endpoint turned ready. */
const MAX_WAKE_DELAY_MS = 100;
const RESOURCES = ['deployment', 'statefulset'] as const;

/** A workload that sleeps, behind `port`, whose pods answer `hello`. */
async function createApp(
  bed: KubeBed,
  { port, ...spec }: Partial<WorkloadSpec> & { readonly port: number },
): Promise<TestWorkload> {
  const targetPort = await freePort();
  await bed.playPod({ kind: 'http', address: '0.0.0.0', port: targetPort, name: 'hello' });
  const annotations = bed.annotations({ ports: [`${port}:80`], idle_timeout: '1s' });
  return bed.createWorkload({ name: 'app', annotations, ports: [{ port: 80, targetPort }], ...spec });
}

/** When the first endpoint of the Service turned ready after `from`, as the API server told it. */
function findReadyAt({ endpointSlices }: KubeBed, from: number): number {
  const ready = endpointSlices.changes.find(
    ({ at, object }) => at >= from && listReadyAddresses(new Map([['', object]]), 'app').length > 0,
  );
  return ready?.at ?? Number.NaN;
}

describe.each(RESOURCES)('a %s that sleeps', (resource) => {
  test('is woken by a request, and put to sleep when it idles', async () => {
    const bed = await openKubeBed();
    const port = await freePort();
    const app = await createApp(bed, { port, resource });
    await bed.startProxy();
    const delaysMs: number[] = [];
    // The other tests may have the processors just then.
    while (delaysMs.length < 3 && !delaysMs.some((ms) => ms <= MAX_WAKE_DELAY_MS)) {
      const from = Date.now();
      const { body, firstByteAt } = await get(port);
      expect(body).toBe('hello');
      await bed.endpointSlices.until(() => findReadyAt(bed, from));
      delaysMs.push(firstByteAt - findReadyAt(bed, from));
      await app.untilReplicas(0);
      expect(await app.countStarts()).toBe(delaysMs.length);
    }
    expect(Math.min(...delaysMs)).toBeLessThanOrEqual(MAX_WAKE_DELAY_MS);
  });

  test('is woken, held, released, explained and put to sleep by the commands', async () => {
    const bed = await openKubeBed();
    const [port, token] = [await freePort(), 'a-token-of-this-test'];
    const app = await createApp(bed, { port, resource });
    const proxy = await bed.startProxy({ env: { LAZY_PROXY_TOKEN: token } });
    await expectSteeredByCommands({
      ...{ proxy, token, service: `${bed.namespace}/app`, port },
      isUp: async () => (await app.read()).spec.replicas === 1,
    });
  });

  test('has as many replicas as before when it was put to sleep and is woken again', async () => {
    const bed = await openKubeBed();
    const port = await freePort();
    const app = await createApp(bed, { port, resource, replicas: 3 });
    await bed.startProxy();
    expect((await get(port)).body).toBe('hello');
    await app.untilReplicas(0);
    expect((await get(port)).body).toBe('hello');
    await app.untilReplicas(3);
  });

  test('has as many replicas as its scale says, where one was remembered', async () => {
    const bed = await openKubeBed();
    const port = await freePort();
    const annotations = bed.annotations({ ports: [`${port}:80`], idle_timeout: '1s', scale: 3 });
    const app = await createApp(bed, { port, resource, replicas: 1, annotations });
    await bed.startProxy();
    await app.untilReplicas(0);
    expect((await app.read()).metadata.annotations['lazy-proxy.replicas']).toBe('1');
    expect((await get(port)).body).toBe('hello');
    await app.untilReplicas(3);
  });

  test('is not woken for a client that its annotation keeps from that, nor scaled down again', async () => {
    const bed = await openKubeBed();
    const port = await freePort();
    const annotations = bed.annotations({
      ...{ ports: [`${port}:80`], idle_timeout: '1s', availability: 'manual' },
    });
    const app = await createApp(bed, { port, resource, annotations });
    const proxy = await bed.startProxy();
    const client = await connectTcp(port);
    expect(await client.closed).toBe('end');
    expect((await proxy.waitForLog('unserved')).msg).toContain(
      "clients don't wake it (availability: manual)",
    );
    await app.scale(1);
    await bed.endpointSlices.until((slices) => listReadyAddresses(slices, 'app').length === 1);
    await proxy.waitForLog('awake');
    expect((await get(port)).body).toBe('hello');
    // Nothing tells that nothing happens.
    await sleep(2_500);
    expect((await app.read()).spec.replicas).toBe(1);
    expect(await app.countStarts()).toBe(1);
  });

  test('has as many replicas as before when another prefix comes first meanwhile', async () => {
    const bed = await openKubeBed();
    const port = await freePort();
    const app = await createApp(bed, { port, resource, replicas: 3 });
    const before = await bed.startProxy({ args: ['--label-prefix', 'lazy-tcp-proxy'] });
    expect((await get(port)).body).toBe('hello');
    await app.untilReplicas(0);
    const remembered = async () => {
      const { annotations } = (await app.read()).metadata;
      return [annotations['lazy-proxy.replicas'], annotations['lazy-tcp-proxy.replicas']];
    };
    expect(await remembered()).toEqual([undefined, '3']);
    await before.stop();
    await bed.startProxy();
    expect((await get(port)).body).toBe('hello');
    await app.untilReplicas(3);
    await app.untilReplicas(0);
    expect(await remembered()).toEqual(['3', '3']);
  });

  test('is scaled once when 20 clients come at once', async () => {
    const bed = await openKubeBed();
    const port = await freePort();
    await createApp(bed, { port, resource });
    const identity = await bed.createIdentity();
    const log = await bed.openAuditLog(identity);
    await bed.startProxy({ identity });
    const answers = await Promise.all(Array.from({ length: 20 }, () => get(port)));
    expect(answers.map(({ body }) => body)).toEqual(Array(20).fill('hello'));
    const writes = (await log.calls()).filter(
      ({ verb, resource: what }) => verb === 'patch' && what !== 'leases',
    );
    expect(writes).toEqual([
      expect.objectContaining({ resource: `${resource}s/scale`, name: 'app', status: 200 }),
    ]);
  });

  test('serves a client that comes while it is scaled down', async () => {
    const bed = await openKubeBed();
    const port = await freePort();
    const app = await createApp(bed, { port, resource, deleteAfter: '1s' });
    await bed.startProxy();
    await get(port);
    await app.untilReplicas(0);
    expect((await get(port)).body).toBe('hello');
    expect(await app.countStarts()).toBe(2);
  });
});

test('a workload of the file, by the name of its port, is woken by a request', async () => {
  const bed = await openKubeBed();
  const [port = 0, webPort = 0, otherPort = 0] = await freePorts(3);
  await bed.playPod({ kind: 'http', address: '0.0.0.0', port: webPort, name: 'web' });
  const ports = [
    { name: 'other', port: 80, targetPort: otherPort },
    { name: 'web', port: 81, targetPort: webPort },
  ];
  await bed.createWorkload({ name: 'app', ports });
  await bed.startProxy({ services: { app: { deployment: `${bed.namespace}/app`, ports: [`${port}:web`] } } });
  expect((await get(port)).body).toBe('web');
});

test('clients are spread over the pods', async () => {
  const bed = await openKubeBed();
  const [port = 0, targetPort = 0] = await freePorts(2);
  await bed.playPod({ kind: 'http', address: '0.0.0.0', port: targetPort });
  const annotations = bed.annotations({ ports: [`${port}:80`] });
  await bed.createWorkload({ name: 'app', annotations, replicas: 3, ports: [{ port: 80, targetPort }] });
  await bed.endpointSlices.until((slices) => listReadyAddresses(slices, 'app').length === 3);
  await bed.startProxy();
  const answers = await Promise.all(Array.from({ length: 30 }, () => get(port)));
  expect(new Set(answers.map(({ body }) => body)).size).toBe(3);
});

test('a UDP service is woken by a datagram, and put to sleep when it idles', async () => {
  const bed = await openKubeBed();
  const [port = 0, targetPort = 0] = await freePorts(2);
  const address = bed.newPodAddress();
  await bed.playPod({ kind: 'udp', address, port: targetPort, name: 'pod' });
  const annotations = bed.annotations({ udp_ports: [`${port}:53`], idle_timeout: '1s' });
  const ports = [{ port: 53, targetPort, protocol: 'UDP' as const }];
  const app = await bed.createWorkload({ name: 'app', annotations, ports, podAddress: address });
  await bed.startProxy();
  const client = await openUdp(port);
  await client.send('first');
  await client.send('second');
  expect((await client.receive()).toString()).toBe('pod first');
  expect((await client.receive()).toString()).toBe('pod second');
  client.close();
  await app.untilReplicas(0);
});

test('connections to a workload that is awake make no API call', async () => {
  const bed = await openKubeBed();
  const port = await freePort();
  await createApp(bed, { port });
  const identity = await bed.createIdentity();
  const log = await bed.openAuditLog(identity);
  await bed.startProxy({ identity });
  // It stays in use, so that its being used is not told again.
  const open = await connectTcp(port);
  await get(port);
  await log.reset();
  for (let batch = 0; batch < 10; batch++) await Promise.all(Array.from({ length: 10 }, () => get(port)));
  const calls = (await log.calls()).filter(({ resource }) => resource !== 'leases');
  open.destroy();
  expect(calls).toEqual([]);
});
