/** The control plane that the other tests stand on: what they take for granted of it. */
import { expect, test } from 'vitest';
import { get } from '../engine/support/http.ts';
import { waitUntil } from '../engine/support/wait-until.ts';
import { freePort } from '../support/free-ports.ts';
import { killApiServer, kubectl, launchApiServer } from './support/control-plane.ts';
import { listReadyAddresses } from './support/endpoints.ts';
import { openKubeBed } from './support/kube-bed.ts';

test.each(['deployment', 'statefulset'] as const)(
  'a %s has ready endpoints when it is scaled up',
  async (resource) => {
    const bed = await openKubeBed();
    const address = bed.newPodAddress();
    const port = await freePort();
    const app = await bed.createWorkload({ name: 'app', resource, podAddress: address, ports: [{ port }] });
    await bed.playPod({ kind: 'http', address, port, name: 'it is me' });
    await app.scale(1);
    await bed.endpointSlices.until((slices) => listReadyAddresses(slices, 'app').includes(address));
    expect((await get(`http://${address}:${port}/`)).body).toBe('it is me');
    await app.scale(0);
    await bed.endpointSlices.until((slices) => listReadyAddresses(slices, 'app').length === 0);
  },
);

test('pods have addresses of their own when none is given', async () => {
  const bed = await openKubeBed();
  await bed.createWorkload({ name: 'app', replicas: 3, ports: [{ port: 80 }] });
  const addresses = await bed.endpointSlices.until((slices) => {
    const ready = listReadyAddresses(slices, 'app');
    return ready.length === 3 ? ready : undefined;
  });
  expect(new Set(addresses).size).toBe(3);
  for (const address of addresses) expect(address).toContain(`${bed.plane.podNetwork}.`);
});

test('the audit log tells the calls of one user', async () => {
  const bed = await openKubeBed();
  const identity = await bed.createIdentity();
  const log = await bed.openAuditLog(identity);
  const path = ['get', 'deployments', '--namespace', bed.namespace];
  await kubectl({ ...bed.plane, kubeconfig: identity.kubeconfig }, path);
  await kubectl(bed.plane, path);
  const listed = async () => (await log.calls()).filter(({ resource }) => resource === 'deployments');
  expect(await waitUntil(async () => (await listed()).length > 0 && listed())).toEqual([
    { verb: 'list', resource: 'deployments', namespace: bed.namespace, name: '', status: 200 },
  ]);
});

test('what is known outlives the API server', async () => {
  const bed = await openKubeBed();
  const app = await bed.createWorkload({ name: 'app' });
  await killApiServer(bed.plane);
  await expect(app.read()).rejects.toThrow();
  await launchApiServer(bed.plane, { flags: '--min-request-timeout 3' });
  await app.scale(1);
  await app.untilReplicas(1);
  await killApiServer(bed.plane);
  await launchApiServer(bed.plane);
  expect((await app.read()).spec.replicas).toBe(1);
});
