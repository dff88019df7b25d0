/** A cluster that can't be asked: a problem says why, the rest is served, and the cluster too as soon as it can be. */
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { openSwitchedRelay } from '../contract/switched-relay.ts';
import { get } from '../engine/support/http.ts';
import type { ProxyProcess } from '../engine/support/proxy.ts';
import { freePort, freePorts } from '../support/free-ports.ts';
import { type KubeBed, openKubeBed } from './support/kube-bed.ts';
import { writeKubeconfig } from './support/proxy-identity.ts';
import { readProblems, untilNoProblem } from './support/status.ts';

const HELLO = 'require("http").createServer((_, answer) => answer.end("local")).listen(process.argv[1])';

/** A proxy with this access, and a service of its own machine, which is served; a Deployment `app` waits at `port`. */
async function startAside(bed: KubeBed, { kubeconfig }: { readonly kubeconfig: string }) {
  const [port = 0, targetPort = 0, localPort = 0, localTarget = 0] = await freePorts(4);
  await bed.playPod({ kind: 'http', address: '0.0.0.0', port: targetPort, name: 'hello' });
  await bed.createWorkload({ name: 'app', ports: [{ port: 80, targetPort }] });
  const command = [process.execPath, '-e', HELLO, String(localTarget)];
  const services = {
    local: { command, ports: [`${localPort}:${localTarget}`] },
    app: { deployment: `${bed.namespace}/app`, ports: [`${port}:80`] },
  };
  const identity = { user: '', kubeconfig, remove: async () => {} };
  const proxy = await bed.startProxy({ services, identity });
  expect((await get(localPort)).body).toBe('local');
  return { proxy, port };
}

async function expectProblem(proxy: ProxyProcess, message: string) {
  const found = await readProblems(proxy);
  expect(found).toEqual([expect.objectContaining({ code: 'engine-unreachable' })]);
  expect(found[0]?.message).toContain(message);
  await proxy.waitForLog(({ event, msg }) => event === 'engine-lost' && msg.includes(message));
}

async function expectServedSoon({ proxy, port }: { readonly proxy: ProxyProcess; readonly port: number }) {
  await untilNoProblem(proxy);
  expect((await get(port)).body).toBe('hello');
}

describe.concurrent('a cluster that can not be asked', () => {
  test('as nobody listens is a problem that names the address, until somebody does', async (context) => {
    const bed = await openKubeBed(context);
    const closedPort = await freePort();
    const { kubeconfig } = await bed.createIdentity({ server: `https://127.0.0.1:${closedPort}` });
    const aside = await startAside(bed, { kubeconfig });
    await expectProblem(aside.proxy, `ECONNREFUSED 127.0.0.1:${closedPort}`);
    const relay = await openSwitchedRelay(
      { port: closedPort },
      { port: Number(new URL(bed.plane.server).port) },
    );
    bed.atEnd(() => relay.close());
    await expectServedSoon(aside);
  });

  test('for want of a kubeconfig is one that names the file, until the file is there', async (context) => {
    const bed = await openKubeBed(context);
    const { kubeconfig: good } = await bed.createIdentity();
    const kubeconfig = path.join(path.dirname(good), 'later');
    const aside = await startAside(bed, { kubeconfig });
    await expectProblem(aside.proxy, `${kubeconfig} does not exist`);
    await copyFile(good, kubeconfig);
    await expectServedSoon(aside);
  });

  test('as it refuses the token is one that says so, until the token is right', async (context) => {
    const bed = await openKubeBed(context);
    const { kubeconfig } = await bed.createIdentity();
    const good = await readFile(kubeconfig, 'utf8');
    const { namespace } = bed;
    await writeFile(kubeconfig, writeKubeconfig(bed.plane, { namespace, token: 'wrong' }));
    const aside = await startAside(bed, { kubeconfig });
    await expectProblem(aside.proxy, `${bed.plane.server} does not accept the credentials (401)`);
    await writeFile(kubeconfig, good);
    await expectServedSoon(aside);
  });
});
