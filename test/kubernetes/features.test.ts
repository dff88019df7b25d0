/** What works as with Docker, and what only Kubernetes has. */

import { networkInterfaces } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, type TestContext, test } from 'vitest';
import { parse } from 'yaml';
import { createConfigFolder } from '../engine/support/config-folder.ts';
import { get, getJson } from '../engine/support/http.ts';
import { runCli } from '../engine/support/proxy.ts';
import { connectTcp } from '../engine/support/tcp.ts';
import type { ServiceFields } from '../engine/support/test-bed.ts';
import { waitUntil } from '../engine/support/wait-until.ts';
import { startWebhookReceiver } from '../engine/support/webhook-receiver.ts';
import { freePort, freePorts } from '../support/free-ports.ts';
import { startConfiguredProxy } from './support/configured-proxy.ts';
import { listReadyAddresses } from './support/endpoints.ts';
import { playHealthPod } from './support/health-pod.ts';
import { type KubeBed, openKubeBed, type TestWorkload } from './support/kube-bed.ts';
import { endpointSlicesPath, type WorkloadSpec } from './support/manifests.ts';
import { untilRow } from './support/status.ts';

const RESOLVER = pathToFileURL(path.join(import.meta.dirname, 'support/resolve-names.mjs'));

/** A cron job fires when a minute begins. */
const CRON_TIMEOUT_MS = 65_000;

/** One that pods may have, too: neither loopback nor link-local. */
const ownIpv6Address = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal, scopeid }) => family === 'IPv6' && !internal && scopeid === 0)?.address;

const open = ({ onTestFinished }: TestContext) => openKubeBed({ onTestFinished });

/** A Deployment that sleeps and opts in with `fields`, whose pods answer their own name. */
async function createApp(
  bed: KubeBed,
  {
    name,
    fields,
    ...spec
  }: Partial<WorkloadSpec> & { readonly name: string; readonly fields: ServiceFields },
): Promise<TestWorkload> {
  const targetPort = await freePort();
  await bed.playPod({ kind: 'http', address: '0.0.0.0', port: targetPort, name });
  const ports = [{ name: 'web', port: 80, targetPort }];
  return bed.createWorkload({ name, annotations: bed.annotations(fields), ports, ...spec });
}

describe.concurrent('in Kubernetes', () => {
  test('cron_start wakes a workload, which then stays awake', {
    timeout: 2 * CRON_TIMEOUT_MS,
  }, async (context) => {
    const bed = await open(context);
    const port = await freePort();
    const fields = { ports: [`${port}:80`], cron_start: '* * * * *', idle_timeout: '0' };
    const app = await createApp(bed, { name: 'app', fields });
    const proxy = await bed.startProxy();
    await app.untilReplicas(1, { timeoutMs: CRON_TIMEOUT_MS });
    expect(new Date().getUTCSeconds()).toBeLessThan(15);
    await proxy.waitForLog('cron');
    // Without the schedule this would be its end.
    expect((await get(port)).body).toBe('app');
    const neighbourPort = await freePort();
    const idle = { ports: [`${neighbourPort}:80`], idle_timeout: '1s' };
    const neighbour = await createApp(bed, { name: 'neighbour', fields: idle });
    await untilRow(proxy, { port: neighbourPort });
    await get(neighbourPort);
    await neighbour.untilReplicas(0);
    expect((await app.read()).spec.replicas).toBe(1);
  });

  test('dependants by name, of another namespace, too, wake and sleep with their hub', async (context) => {
    const bed = await open(context);
    const other = await open(context);
    const [hubPort = 0, nodePort = 0] = await freePorts(2);
    const dependants = ['node', 'stray', `${other.namespace}/far`];
    const hub = await createApp(bed, {
      name: 'hub',
      fields: { ports: [`${hubPort}:80`], idle_timeout: '1s', dependants },
    });
    const node = await createApp(bed, {
      name: 'node',
      fields: { ports: [`${nodePort}:80`], idle_timeout: '0' },
    });
    // What an annotation names has to have opted in.
    const strays = [
      await createApp(bed, { name: 'stray', fields: {} }),
      await createApp(other, { name: 'far', fields: {} }),
    ];
    await bed.startProxy({ env: { K8S_NAMESPACE: `${bed.namespace},${other.namespace}` } });
    const client = await connectTcp(hubPort);
    for (const app of [hub, node, ...strays]) await app.untilReplicas(1);
    // For itself it would sleep as soon as this connection has ended.
    expect((await get(nodePort)).body).toBe('node');
    client.destroy();
    for (const app of [hub, node, ...strays]) {
      await app.untilReplicas(0);
      expect(await app.countStarts()).toBe(1);
    }
  });

  test('a webhook is told of start, stop and connection, with the name and namespace/name', async (context) => {
    const bed = await open(context);
    const port = await freePort();
    const receiver = await startWebhookReceiver();
    bed.atEnd(() => receiver.close());
    const fields = { ports: [`${port}:80`], idle_timeout: '1s', webhook_url: receiver.url };
    await createApp(bed, { name: 'db', fields });
    // Annotations alone must not reach this machine's loopback.
    await startConfiguredProxy(bed, { content: { docker: { label_urls: ['127.0.0.1'] } } });
    await get(port);
    await waitUntil(() => receiver.of('container_stopped').length > 0);
    const subject = { container_id: `${bed.namespace}/db`, container_name: 'db' };
    for (const event of ['container_started', 'tcp_conn_start', 'tcp_conn_end', 'container_stopped'])
      expect(receiver.of(event)).toEqual([expect.objectContaining(subject)]);
  });

  test('http_healthcheck comes after the endpoint is ready, and holds the client until it passes', async (context) => {
    const bed = await open(context);
    const [port = 0, targetPort = 0] = await freePorts(2);
    const address = bed.newPodAddress();
    const pod = await playHealthPod(address, targetPort);
    bed.atEnd(() => pod.close());
    const annotations = bed.annotations({
      ports: [`${port}:80`],
      http_healthcheck: `http://{{container}}:${targetPort}/health`,
    });
    const ports = [{ port: 80, targetPort }];
    const app = { name: 'app', annotations, ports, podAddress: address, readyAfter: '1s' };
    await bed.createWorkload(app);
    const proxy = await bed.startProxy();
    let isAnswered = false;
    const answer = get(port).finally(() => {
      isAnswered = true;
    });
    await bed.deployments.until((all) => all.get('app')?.spec.replicas === 1);
    expect(pod.asked()).toBe(0);
    await pod.untilAsked(5);
    expect(
      await bed.endpointSlices.until((all) => [...all.values()][0]?.endpoints?.[0]?.conditions.ready),
    ).toBe(true);
    expect(isAnswered).toBe(false);
    expect((await untilRow(proxy, { port })).state).toBe('starting');
    pod.recover();
    expect((await answer).body).toBe('hello');
  });

  test('upstream: service connects to the name of the Service, and leaves the pod to the cluster', async (context) => {
    const bed = await open(context);
    const [port = 0, servicePort = 0, targetPort = 0] = await freePorts(3);
    const clusterAddress = bed.newPodAddress();
    await bed.playPod({ kind: 'http', address: clusterAddress, port: servicePort, name: 'by the Service' });
    const fields = { ports: [`${port}:web`], upstream: 'service', service_name: 'front' };
    const annotations = bed.annotations(fields);
    const ports = [{ name: 'web', port: servicePort, targetPort }];
    await bed.createWorkload({ name: 'app', annotations, ports, service: 'front' });
    await startConfiguredProxy(bed, {
      content: { kubernetes: { cluster_domain: 'cluster.test' } },
      env: {
        NODE_OPTIONS: `--import=${RESOLVER}`,
        TEST_NAMES_SUFFIX: `front.${bed.namespace}.svc.cluster.test`,
        TEST_NAMES_ADDRESS: clusterAddress,
      },
    });
    expect((await get(port)).body).toBe('by the Service');
  });

  // Nothing gives pods of the control plane under test an IPv6 address: the test says itself which endpoint is ready.
  test.skipIf(ownIpv6Address === undefined)('clients are spread over IPv4 and IPv6 pods', async (context) => {
    const bed = await open(context);
    const [port = 0, targetPort = 0] = await freePorts(2);
    const podAddress = bed.newPodAddress();
    const both = [podAddress, ownIpv6Address ?? ''];
    for (const address of both) await bed.playPod({ kind: 'http', address, port: targetPort, name: address });
    const annotations = bed.annotations({ ports: [`${port}:web`] });
    const ports = [{ name: 'web', port: 80, targetPort }];
    await bed.createWorkload({ name: 'app', annotations, ports, podAddress, replicas: 1 });
    await bed.endpointSlices.until((slices) => listReadyAddresses(slices, 'app').includes(podAddress));
    await bed.admin.create(endpointSlicesPath(bed.namespace), {
      metadata: { name: 'app-ipv6', labels: { 'kubernetes.io/service-name': 'app' } },
      addressType: 'IPv6',
      ports: [{ name: 'web', port: targetPort, protocol: 'TCP' }],
      endpoints: [{ addresses: [ownIpv6Address], conditions: { ready: true } }],
    });
    await bed.startProxy();
    const answers = await Promise.all(Array.from({ length: 10 }, () => get(port)));
    expect(new Set(answers.map(({ body }) => body))).toEqual(new Set(both));
  });

  test('discover: labelled takes workloads with the label, and those of the file', async (context) => {
    const bed = await open(context);
    const [labelledPort = 0, annotatedPort = 0, filePort = 0] = await freePorts(3);
    const optIn = { 'lazy-tcp-proxy.enabled': 'true' };
    await createApp(bed, { name: 'labelled', labels: optIn, fields: { ports: [`${labelledPort}:80`] } });
    await createApp(bed, { name: 'annotated', fields: { ports: [`${annotatedPort}:80`] } });
    const inFile = await createApp(bed, { name: 'in-file', annotations: {}, fields: {} });
    const proxy = await startConfiguredProxy(bed, {
      content: {
        kubernetes: { discover: 'labelled' },
        services: {
          file: { deployment: `${bed.namespace}/in-file`, ports: [`${filePort}:80`], idle_timeout: '1s' },
        },
      },
    });
    expect((await get(labelledPort)).body).toBe('labelled');
    expect((await get(filePort)).body).toBe('in-file');
    await inFile.untilReplicas(0);
    const rows = await getJson<readonly { readonly container_name: string }[]>(`${proxy.statusUrl}/status`);
    expect(rows.map((row) => row.container_name)).toEqual(['in-file', 'labelled']);
  });

  test('discover: labelled takes the labels of both prefixes, and a workload with both once', async (context) => {
    const bed = await open(context);
    const [newPort = 0, oldPort = 0, bothPort = 0, latePort = 0] = await freePorts(4);
    const ofNew = { 'lazy-proxy.enabled': 'true' };
    const ofOld = { 'lazy-tcp-proxy.enabled': 'true' };
    const fields = (port: number) => ({ ports: [`${port}:80`], idle_timeout: '2s' });
    const annotations = { 'lazy-proxy.ports': `${newPort}:80`, 'lazy-proxy.idle-timeout': '2s' };
    await createApp(bed, { name: 'new', labels: ofNew, annotations, fields: {} });
    await createApp(bed, { name: 'old', labels: ofOld, fields: fields(oldPort) });
    const both = await createApp(bed, {
      ...{ name: 'both', labels: { ...ofNew, ...ofOld }, fields: fields(bothPort) },
    });
    const proxy = await startConfiguredProxy(bed, { content: { kubernetes: { discover: 'labelled' } } });
    for (const [port, name] of [
      [newPort, 'new'],
      [oldPort, 'old'],
      [bothPort, 'both'],
    ] as const)
      expect((await get(port)).body).toBe(name);
    await both.untilReplicas(0);
    expect((await get(bothPort)).body).toBe('both');
    expect(await both.countStarts()).toBe(2);
    // What comes later is heard of by either watch.
    await createApp(bed, { name: 'late', labels: ofOld, fields: fields(latePort) });
    await proxy.waitForLog(
      ({ event, service }) => event === 'listening' && service?.endsWith('/late') === true,
    );
    expect((await get(latePort)).body).toBe('late');
    const rows = await getJson<readonly { readonly container_name: string }[]>(`${proxy.statusUrl}/status`);
    expect(rows.map((row) => row.container_name)).toEqual(['both', 'late', 'new', 'old']);
    expect(await getJson(`${proxy.statusUrl}/problems`)).toEqual([]);
  });

  test('the status tells kind, resource, namespace and the name of a port', async (context) => {
    const bed = await open(context);
    const [port = 0, setPort = 0] = await freePorts(2);
    await createApp(bed, { name: 'app', fields: { ports: [`${port}:web`] } });
    await createApp(bed, { name: 'set', resource: 'statefulset', fields: { ports: [`${setPort}:80`] } });
    const proxy = await bed.startProxy();
    const { namespace } = bed;
    const shared = { kind: 'kubernetes', namespace, state: 'stopped', running: false };
    const app = { container_id: `${namespace}/app`, container_name: 'app', service: `${namespace}/app` };
    expect(await untilRow(proxy, { port })).toMatchObject({
      ...{ ...shared, ...app, resource: 'deployment', listen_port: port, target_port: 'web' },
    });
    expect(await untilRow(proxy, { port: setPort })).toMatchObject({ ...shared, resource: 'statefulset' });
    expect((await get(port)).body).toBe('app');
    expect(await untilRow(proxy, { port })).toMatchObject({ state: 'ready', running: true });
  });

  test('print-effective-config shows which value comes from the file and which from an annotation', async (context) => {
    const bed = await open(context);
    const port = await freePort();
    const { namespace } = bed;
    const fields = { ports: [`${port}:80`], idle_timeout: '7m', start_timeout: '40s' };
    await createApp(bed, { name: 'app', fields });
    const { kubeconfig } = await bed.createIdentity();
    const content = {
      backend: 'kubernetes',
      services: { mine: { deployment: `${namespace}/app`, idle_timeout: '3m' } },
    };
    const files = await createConfigFolder(JSON.stringify(content, undefined, 2));
    bed.atEnd(() => files.remove());
    const { status, stdout, stderr } = await runCli(
      ['print-effective-config', '--show-origin', '--config', files.configFile],
      { env: { KUBECONFIG: kubeconfig, K8S_NAMESPACE: namespace, DOCKER_HOST: undefined } },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const lineOf = (key: string) => stdout.split('\n').find((line) => line.trim().startsWith(`${key}:`));
    expect(lineOf('idle_timeout')).toMatch(/3m.*# .*lazy-proxy\.yaml:\d+:\d+/);
    expect(lineOf('start_timeout')).toMatch(
      new RegExp(`40s.*# .*deployment ${namespace}/app.*lazy-tcp-proxy\\.start-timeout`),
    );
    const { services } = parse(stdout);
    expect(Object.keys(services)).toEqual(['mine']);
    expect(services.mine).toMatchObject({ deployment: `${namespace}/app`, ports: [`${port}:80`] });
  });
});
