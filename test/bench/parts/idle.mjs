/** What proxies cost when nobody uses them: memory, wakeups and processor time, with few and many services. */
import { setTimeout as sleep } from 'node:timers/promises';
import { runIperf } from '../bed/iperf.mjs';
import { findFreePorts } from '../bed/ports.mjs';
import { readActivity, readPrivateDirtyBytes } from '../bed/proc-files.mjs';
import { startPeer, startPeers } from '../peers/start-peers.mjs';

const SIZES = [1, 100];
/** What starting up has put off: Node collects garbage some 8 to 16 s later. */
const SETTLE_MS = 20_000;
const QUICK_SETTLE_MS = 2_000;
const AFTER_BULK_MS = 10_000;
const MIB = 2 ** 20;

export const idle = { name: 'idle', needs: [], measure: measureIdle };

async function measureIdle(bed) {
  const [rounds, watchMs] = bed.quick ? [1, 3_000] : [3, 10_000];
  const containers = await createContainers(bed.upstream, Math.max(...SIZES));
  const samples = new Map();
  const add = (metric, peer, value) => {
    const key = JSON.stringify([metric, peer]);
    samples.set(key, [...(samples.get(key) ?? []), value]);
  };
  for (let round = 0; round < rounds; round += 1) {
    bed.log(`  round ${round + 1}`);
    for (const size of bed.quick ? SIZES.slice(-1) : SIZES) {
      await bed.cleanup.scope(() => watchIdle(bed, { add, watchMs, containers: containers.slice(0, size) }));
    }
    if (bed.tools.iperf3 !== undefined) await bed.cleanup.scope(() => watchAfterBulk(bed, add));
  }
  return [...samples].map(([key, values]) => {
    const [metric, peer] = JSON.parse(key);
    return { metric, peer, samples: values };
  });
}

/** Containers that were never started. */
async function createContainers(upstream, count) {
  const names = Array.from({ length: count }, (_, index) => `idle-${index}`);
  return await Promise.all(names.map((name) => upstream.createContainer(name, { cmd: ['true'] })));
}

/** All peers at the same time: they do nothing. */
async function watchIdle(bed, { add, watchMs, containers }) {
  const running = [];
  for (const peer of bed.peers) {
    const ports = await findFreePorts(containers.length);
    const routes = containers.map(({ container }, index) => ({
      ...{ container, address: bed.upstream.address, target: bed.upstream.ports.http },
      ...{ listen: ports[index], protocols: ['tcp'] },
    }));
    running.push(await startPeer(bed, peer, { routes, connections: 1_024 }));
  }
  await sleep(bed.quick ? QUICK_SETTLE_MS : SETTLE_MS);
  const before = running.map(({ pid }) => readActivity(pid));
  await sleep(watchMs);
  const seconds = watchMs / 1_000;
  for (const [index, { id, pid }] of running.entries()) {
    const { switches, cpuNanoseconds } = readActivity(pid);
    const size = containers.length;
    add(`memory-${size}`, id, readPrivateDirtyBytes(pid) / MIB);
    add(`wakeups-${size}`, id, (switches - before[index].switches) / seconds);
    add(`idle-cpu-${size}`, id, ((cpuNanoseconds - before[index].cpuNanoseconds) / 1e6 / seconds) * 60);
  }
}

async function watchAfterBulk(bed, add) {
  const running = await startPeers(bed, { target: bed.upstream.ports.iperf, connections: 1_024 });
  const seconds = bed.quick ? 1 : 5;
  for (const { host, port } of running) await runIperf(bed, { host, port, seconds, args: ['-P', '8'] });
  await sleep(AFTER_BULK_MS);
  for (const { id, pid } of running) add('memory-after-bulk', id, readPrivateDirtyBytes(pid) / MIB);
}
