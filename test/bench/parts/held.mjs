/** Thousands of connections that carry nothing: whether they are held, and what memory each takes. */
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findMaxDescriptors } from '../bed/descriptors.mjs';
import { findFreePorts } from '../bed/ports.mjs';
import { readPrivateDirtyBytes } from '../bed/proc-files.mjs';
import { startTalker } from '../bed/program.mjs';
import { runRounds } from '../bed/rounds.mjs';
import { HELD_PORTS } from '../bed/upstream-files.mjs';
import { startPeer } from '../peers/start-peers.mjs';

const CONNECTIONS = 10_000;
/** Of a relay's descriptors, those that are not a client's or an upstream's. */
const OTHER_DESCRIPTORS = 500;
const CLIENT = path.join(import.meta.dirname, '../bed/held-client.mjs');

export const held = { name: 'held', needs: ['nginx'], measure: measureHeld };

async function measureHeld(bed) {
  const possible = Math.floor((findMaxDescriptors() - OTHER_DESCRIPTORS) / 2);
  const count = Math.min(bed.quick ? 1_000 : CONNECTIONS, possible);
  if (count < CONNECTIONS)
    bed.log(`  ${count} connections: ${bed.quick ? 'quick' : 'the limit of open files allows no more'}`);
  return await runRounds(bed.peers, {
    ...{ rounds: bed.quick ? 1 : 3, log: bed.log },
    work: (peer) => bed.cleanup.scope(() => hold(bed, peer, count)),
  });
}

async function hold(bed, peer, count) {
  const [listen] = await findFreePorts(1);
  // An upstream port for each: connections that have ended keep their own ports for a minute.
  const target = HELD_PORTS[bed.peers.indexOf(peer) % HELD_PORTS.length];
  const routes = [{ ...bed.upstream, listen, target, protocols: ['tcp'] }];
  const { host, port, pid } = await startPeer(bed, peer, {
    routes,
    connections: 2 * count + OTHER_DESCRIPTORS,
  });
  const settleMs = bed.quick ? 1_000 : 5_000;
  await sleep(settleMs);
  const before = readPrivateDirtyBytes(pid);
  const starting = startTalker([process.execPath, CLIENT, host, String(port), String(count)]);
  const client = await bed.cleanup.own(starting, ({ stop }) => stop());
  const { answered: opened } = await client.hear();
  if (opened === 0) throw new Error(`${peer.label} answered nobody`);
  await sleep(settleMs);
  const bytes = readPrivateDirtyBytes(pid) - before;
  client.say('ask');
  const { answered } = await client.hear();
  return { 'held-memory': bytes / 1_024 / opened, 'held-answered': (answered / count) * 100 };
}
