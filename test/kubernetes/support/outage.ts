import { randomBytes } from 'node:crypto';
import { waitUntil } from '../../engine/support/wait-until.ts';
import {
  type ControlPlane,
  killApiServer,
  killProgram,
  launchApiServer,
  launchProgram,
} from './control-plane.ts';
import type { KubeBed } from './kube-bed.ts';

export interface ApiOutage {
  /** Resolves when the API server is ready again, with the milliseconds since the epoch. Idempotent. */
  end(): Promise<number>;
}

/** What acts on what the API server says. */
const CONTROLLERS = ['kube-controller-manager', 'kube-scheduler', 'kwok'];

/**
 * Kills the API server; it is back at the end of the test at the latest. The cluster's own controllers are started anew
 * behind it: those that have lived through outages try again only every 30 s.
 */
export async function beginOutage(bed: KubeBed): Promise<ApiOutage> {
  const { plane } = bed;
  await killApiServer(plane);
  let ended: Promise<number> | undefined;
  let settled: Promise<unknown> = Promise.resolve();
  const end = () => {
    ended ??= launchApiServer(plane).then(() => {
      settled = renewControllers(plane);
      // Told at the end of the test.
      settled.catch(() => {});
      return Date.now();
    });
    return ended;
  };
  bed.atEnd(async () => {
    await end();
    await settled;
    for (let tries = 1; !(await isControlled(bed)); tries++) {
      if (tries === 3) throw new Error('the control plane does not work again after its API server was away');
      await renewControllers(plane);
    }
  });
  return { end };
}

async function renewControllers(plane: ControlPlane): Promise<void> {
  await Promise.all(
    CONTROLLERS.map(async (program) => {
      await killProgram(plane, program);
      await launchProgram(plane, program);
    }),
  );
}

/** Whether a pod runs soon that is made now: for that its namespace needs a ServiceAccount, and the pod a node and an address. */
async function isControlled({ admin }: KubeBed): Promise<boolean> {
  const name = `lpt-${randomBytes(4).toString('hex')}`;
  const namespace = `/api/v1/namespaces/${name}`;
  await admin.create('/api/v1/namespaces', { metadata: { name } });
  const pod = { metadata: { name: 'probe' }, spec: { containers: [{ name: 'app', image: 'app' }] } };
  const hasRun = async () => {
    // Refused until the ServiceAccount is there, and once it was made.
    await admin.create(`${namespace}/pods`, pod).catch(() => {});
    const made = await admin.get(`${namespace}/pods/probe`).catch(() => undefined);
    return (made?.['status'] as { readonly podIP?: string } | undefined)?.podIP !== undefined;
  };
  const isIt = await waitUntil(hasRun, { timeoutMs: 10_000, everyMs: 100, what: 'a pod that runs' }).then(
    () => true,
    () => false,
  );
  await admin.delete(namespace);
  return isIt;
}
