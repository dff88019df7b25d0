/** Requests on connections that are kept: many clients at once, and one alone for the latency that a relay adds. */
import { runRounds } from '../bed/rounds.mjs';
import { runWrk } from '../bed/wrk.mjs';
import { createDirect, startPeers } from '../peers/start-peers.mjs';

const CLIENTS = [32, 1];

export const requests = { name: 'requests', needs: ['wrk', 'nginx'], measure: measureRequests };

async function measureRequests(bed) {
  const target = bed.upstream.ports.http;
  const peers = [...(await startPeers(bed, { target })), createDirect({ ...bed.upstream, port: target })];
  const [rounds, seconds] = bed.quick ? [1, 1] : [5, 3];
  return await runRounds(peers, {
    ...{ rounds, log: bed.log },
    warmUp: (peer) => runWrk(bed, { ...peer, connections: CLIENTS[0], seconds: 1 }),
    async work(peer) {
      const figures = {};
      for (const connections of CLIENTS) {
        const { perSecond, p50Ms, p99Ms } = await runWrk(bed, { ...peer, connections, seconds });
        figures[`requests-${connections}`] = perSecond;
        figures[`latency-p50-${connections}`] = p50Ms * 1_000;
        figures[`latency-p99-${connections}`] = p99Ms * 1_000;
      }
      return figures;
    },
  });
}
