/** New connections per second: each request on a connection of its own. */
import { runRounds } from '../bed/rounds.mjs';
import { runWrk } from '../bed/wrk.mjs';
import { createDirect, startPeers } from '../peers/start-peers.mjs';

const CLIENTS = 32;

export const connections = { name: 'connections', needs: ['wrk', 'nginx'], measure: measureConnections };

async function measureConnections(bed) {
  const target = bed.upstream.ports.http;
  const peers = [...(await startPeers(bed, { target })), createDirect({ ...bed.upstream, port: target })];
  const [rounds, seconds] = bed.quick ? [1, 1] : [5, 4];
  const options = { connections: CLIENTS, headers: ['Connection: close'] };
  return await runRounds(peers, {
    ...{ rounds, log: bed.log },
    warmUp: (peer) => runWrk(bed, { ...peer, ...options, seconds: 1 }),
    async work(peer) {
      const { perSecond } = await runWrk(bed, { ...peer, ...options, seconds });
      return { connections: perSecond };
    },
  });
}
