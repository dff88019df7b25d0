/** How many datagrams per second get through with less than one in a hundred lost. */
import { setTimeout as sleep } from 'node:timers/promises';
import { runIperf } from '../bed/iperf.mjs';
import { runRounds } from '../bed/rounds.mjs';
import { createDirect, startPeers } from '../peers/start-peers.mjs';
import { searchRate } from '../report/search-rate.mjs';

const FIRST_PER_SECOND = 30_000;
/** As much as lazy-proxy gives its own sockets, so that the ends are not what loses datagrams. */
const BUFFER = '4M';
/** Below this part of what was asked for, the sender is what is slow. */
const MIN_SENT = 0.9;
const MAX_LOSS = 0.01;
/** A datagram of the test before would be taken for the first one of the next, whose client would wait for ever. */
const DRAIN_MS = 400;
/** What else the machine does loses some datagrams now and then; a rate that can't be had fails twice. */
const TRIES = 2;

export const udp = { name: 'udp', needs: ['iperf3'], measure: measureUdp };

async function measureUdp(bed) {
  const target = bed.upstream.ports.iperf;
  // LAZY_PROXY_RELAY is about TCP; iperf3 needs TCP beside UDP, to control the test.
  const started = await startPeers(bed, { target, protocols: ['tcp', 'udp'], without: ['streams'] });
  const peers = [...started, createDirect({ ...bed.upstream, port: target })];
  const [rounds, seconds, sizes] = bed.quick ? [1, 1, [64]] : [5, 2, [64, 512]];
  const known = new Map();
  return await runRounds(peers, {
    ...{ rounds, log: bed.log },
    warmUp: (peer) => send(bed, peer, { bytes: 64, perSecond: FIRST_PER_SECOND, seconds: 1 }),
    async work(peer) {
      const figures = {};
      for (const bytes of sizes) {
        const key = `${peer.id} ${bytes}`;
        const first = (known.get(key) ?? FIRST_PER_SECOND / 0.7) * 0.7;
        const measureAt = (perSecond) => tryRate(bed, peer, { bytes, perSecond, seconds });
        const found = await searchRate(measureAt, { first, steps: bed.quick ? 1 : 3 });
        known.set(key, found || FIRST_PER_SECOND);
        figures[`datagrams-${bytes}`] = found;
      }
      return figures;
    },
  });
}

/** What arrived per second; `kind: 'lossy'` where too much of it did not, and `limit` where the sender has no more. */
async function tryRate(bed, peer, options) {
  for (let left = bed.quick ? 1 : TRIES; ; left -= 1) {
    const { sent, received } = await send(bed, peer, options);
    if (received / sent >= 1 - MAX_LOSS) {
      const perSecond = received / options.seconds;
      return { kind: sent / options.seconds < options.perSecond * MIN_SENT ? 'limit' : 'passed', perSecond };
    }
    if (left === 1) return { kind: 'lossy' };
  }
}

async function send(bed, { host, port }, { bytes, perSecond, seconds }) {
  const bitsPerSecond = Math.round(perSecond * bytes * 8);
  const args = ['-u', '-l', String(bytes), '-b', String(bitsPerSecond), '-w', BUFFER];
  await sleep(DRAIN_MS);
  const { sum } = await runIperf(bed, { host, port, seconds, args });
  return { sent: sum.packets, received: sum.packets - sum.lost_packets };
}
