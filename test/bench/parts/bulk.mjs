/** How fast, and at how much processor time, bytes are relayed: iperf3 with one and with eight streams. */
import { runIperf } from '../bed/iperf.mjs';
import { readCpuSeconds } from '../bed/proc-files.mjs';
import { runRounds } from '../bed/rounds.mjs';
import { createDirect, startPeers } from '../peers/start-peers.mjs';

const STREAMS = [1, 8];

export const bulk = { name: 'bulk', needs: ['iperf3'], measure: measureBulk };

async function measureBulk(bed) {
  const target = bed.upstream.ports.iperf;
  const peers = [...(await startPeers(bed, { target })), createDirect({ ...bed.upstream, port: target })];
  const [rounds, seconds] = bed.quick ? [1, 1] : [5, 4];
  return await runRounds(peers, {
    ...{ rounds, log: bed.log },
    warmUp: (peer) => relay(bed, peer, { streams: 2, seconds: 1 }),
    async work(peer) {
      const figures = {};
      for (const streams of STREAMS) Object.assign(figures, await relay(bed, peer, { streams, seconds }));
      return figures;
    },
  });
}

async function relay(bed, { host, port, pid }, { streams, seconds }) {
  const before = pid === undefined ? 0 : readCpuSeconds(pid);
  const { sum_received: received } = await runIperf(bed, {
    host,
    port,
    seconds,
    args: ['-P', String(streams)],
  });
  const throughput = { [`throughput-${streams}`]: received.bits_per_second / 1e9 };
  if (pid === undefined) return throughput;
  return { ...throughput, [`cpu-${streams}`]: (readCpuSeconds(pid) - before) / (received.bytes / 1e9) };
}
