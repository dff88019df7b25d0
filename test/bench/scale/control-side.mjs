import { nameOf } from './sample.mjs';
import { StillBackend } from './still-backend.mjs';

const SILENT = { error() {}, warn() {}, info() {}, debug() {} };

/**
 * The control side of a proxy as `src/proxy/runtime.ts` puts it together, in front of a backend whose workloads all sleep.
 * Where listeners would be, nothing is bound. `close()` ends it.
 */
export async function openControlSide(product, table) {
  const { Lifecycle, Doors, ListenerSet, CronWindows, AwakeWindows, ScheduleSet, Reconciler, workloadKey } =
    product;
  const clock = product.systemClock;
  const names = Array.from({ length: table.entries.size }, (_, index) => nameOf(index));
  const keys = names.map((name) => workloadKey(table.entries.get(name).service.workload));
  const createObservation = (index) => observationOf(product, { index, state: 'stopped' });
  const backend = new StillBackend({ keys, keyOf: workloadKey, createObservation });
  const parts = { clock, logger: SILENT };
  const lifecycle = new Lifecycle({ ...parts, backends: [backend], maxStarting: Number.POSITIVE_INFINITY });
  const listeners = new ListenerSet({ ...parts, create: createUnboundListener });
  // No service has a host, and so none is at a front door.
  const doors = new Doors({ listeners, fronts: { specsOf: () => [] } });
  const windows = new CronWindows({ lifecycle, logger: SILENT });
  const awakeWindows = new AwakeWindows({ lifecycle, logger: SILENT });
  const schedules = new ScheduleSet({
    clock,
    onFire: (service, action) => windows.fire(service, action),
    onWindow: (service, state) => awakeWindows.set(service, state),
  });
  const reconciler = new Reconciler({ lifecycle, listeners, schedules, windows, awakeWindows });
  await backend.open({ observed: (key, observation) => lifecycle.observe(key, observation) });
  lifecycle.share('kubernetes', { isSleeper: true, heldElsewhere: new Set() });
  return {
    ...{
      backend,
      names,
      keys,
      lifecycle,
      listeners,
      doors,
      schedules,
      reconciler,
      relay: { kind: 'stream' },
    },
    close() {
      schedules.close();
      lifecycle.close();
    },
  };
}

/** What an engine says of one workload; each time another object, as it is when it comes off the wire. */
export function observationOf({ MISSING }, { index, state }) {
  const address = `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`;
  const hosts = state === 'running' ? [address] : [];
  const ports = {
    'tcp/80': hosts.map((host) => ({ host, port: 8_080 })),
    'udp/53': hosts.map((host) => ({ host, port: 5_353 })),
  };
  return { ...MISSING, state, id: nameOf(index), hosts, ports };
}

function createUnboundListener(spec) {
  return {
    ...{ spec, activeConnections: 0, drops: {} },
    async open() {},
    rebind() {},
    close() {},
    destroy() {},
  };
}
