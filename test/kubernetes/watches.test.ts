/** Watches end all the time, and what happens meanwhile is missed by nobody. */
import { describe, expect, type TestContext, test } from 'vitest';
import { get } from '../engine/support/http.ts';
import type { ProxyProcess } from '../engine/support/proxy.ts';
import { freePorts } from '../support/free-ports.ts';
import { type KubeBed, openKubeBed, type TestWorkload } from './support/kube-bed.ts';
import { workloadsPath } from './support/manifests.ts';
import { untilRow } from './support/status.ts';
import { openWatchGateway, type WatchGateway } from './support/watch-gateway.ts';

/** Each has four changes. */
const ROUNDS = 16;
const WATCH_SECONDS = 2;
/** Between a watch and the next one: long enough that many a change falls into it. */
const GAP_MS = 300;
/** Of deployments, StatefulSets, Services, EndpointSlices and Leases. */
const WATCHES = 5;
/** From a change to its being seen; most of it is what pods and controllers take. */
const SEEN_WITHIN_MS = 15_000;
const IDLE_TIMEOUT = '300ms';

interface Stage {
  readonly bed: KubeBed;
  readonly gateway: WatchGateway;
  readonly app: TestWorkload;
  readonly proxy: ProxyProcess;
  readonly ports: readonly number[];
}

async function openStage(context: TestContext, how: 'in-order' | 'broken'): Promise<Stage> {
  const bed = await openKubeBed(context);
  const gateway = await openWatchGateway(bed.plane, { seconds: WATCH_SECONDS, gapMs: GAP_MS, how });
  bed.atEnd(() => gateway.close());
  const [targetPort = 0, ...ports] = await freePorts(3);
  await bed.playPod({ kind: 'http', address: '0.0.0.0', port: targetPort, name: 'hello' });
  const annotations = bed.annotations({ ports: [`${ports[0]}:80`], idle_timeout: IDLE_TIMEOUT });
  const times = { readyAfter: '0.05s', deleteAfter: '0.05s' };
  const app = await bed.createWorkload({
    ...{ name: 'app', annotations, ports: [{ port: 80, targetPort }], ...times },
  });
  const identity = await bed.createIdentity({ server: gateway.server });
  const proxy = await bed.startProxy({ identity });
  return { bed, gateway, app, proxy, ports };
}

/** Everything that may happen to a workload; each step waits until the proxy shows the one before. */
async function goRound({ bed, app, proxy, ports }: Stage, round: number): Promise<void> {
  const port = ports[round % ports.length] ?? 0;
  const shows = (state: string, what: string) =>
    untilRow(proxy, {
      ...{ port, holds: (row) => row.state === state, timeoutMs: SEEN_WITHIN_MS },
      what: `round ${round}: ${state} after ${what}`,
    });
  const annotations = { 'lazy-tcp-proxy.ports': `${port}:80` };
  await bed.admin.patch(`${workloadsPath(bed.namespace)}/app`, { metadata: { annotations } });
  await shows('stopped', 'another port');
  expect((await get(port, { timeoutMs: SEEN_WITHIN_MS })).body).toBe('hello');
  await shows('stopped', 'idling');
  await app.scale(2);
  await shows('ready', 'being scaled up');
  await app.scale(0);
  await shows('stopped', 'being scaled to 0');
}

describe.concurrent('a proxy whose watches last 2 s sees every change, also between two of them', () => {
  test.for(['in-order', 'broken'] as const)(
    'when they end %s',
    { timeout: 120_000 },
    async (how, context) => {
      const stage = await openStage(context, how);
      const beganMs = performance.now();
      for (let round = 0; round < ROUNDS; round++) await goRound(stage, round);
      const seconds = (performance.now() - beganMs) / 1_000;
      expect(stage.gateway.ended()).toBeGreaterThan((WATCHES * seconds) / (2 * WATCH_SECONDS));
    },
  );
});
