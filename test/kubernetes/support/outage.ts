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
    await untilControlled(bed);
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

/** Pods of a new namespace can't be made before its ServiceAccount is there. */
async function untilControlled({ admin }: KubeBed): Promise<void> {
  const name = `lpt-${randomBytes(4).toString('hex')}`;
  await admin.create('/api/v1/namespaces', { metadata: { name } });
  const path = `/api/v1/namespaces/${name}/serviceaccounts/default`;
  const isThere = () =>
    admin.get(path).then(
      () => true,
      () => false,
    );
  await waitUntil(isThere, { timeoutMs: 30_000, what: 'a controller manager that works' });
  await admin.delete(`/api/v1/namespaces/${name}`);
}
