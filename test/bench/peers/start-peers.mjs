import { mkdtemp } from 'node:fs/promises';
import path from 'node:path';
import { findFreePorts } from '../bed/ports.mjs';
import { areListening } from '../bed/proc-files.mjs';
import { waitUntilReady } from '../bed/program.mjs';

/** For nginx, which lays them out beforehand; a relayed connection takes two. */
const CONNECTIONS = 4_096;

/** No proxy at all, for reference. */
export function createDirect({ address, port }) {
  return { id: 'direct', label: 'no proxy', host: address, port };
}

/** Starts those peers that know the protocols, each with one route to the upstream's port, and waits until they listen. */
export async function startPeers(bed, { target, protocols = ['tcp'], without = [], connections }) {
  const peers = protocols.includes('http') ? bed.webPeers : bed.peers;
  const chosen = peers.filter(
    (peer) => protocols.every((protocol) => peer.protocols.includes(protocol)) && !without.includes(peer.id),
  );
  const started = [];
  for (const peer of chosen) {
    const [listen] = await findFreePorts(1);
    started.push(
      await startPeer(bed, peer, { routes: [{ ...bed.upstream, listen, target, protocols }], connections }),
    );
  }
  return started;
}

/**
 * Starts one peer and waits until it listens on all ports but those of UDP; the scope that is open ends it.
 * @returns `{ id, label, asksNobody, host, port, pid, program }`, the port being that of its first route.
 */
export async function startPeer(bed, peer, { routes, connections = CONNECTIONS, statusPort }) {
  const folder = await mkdtemp(path.join(bed.folder, `${peer.id}-`));
  const starting = peer.start(routes, { folder, connections, statusPort });
  const program = await bed.cleanup.own(starting, ({ stop }) => stop());
  const ports = routes
    .filter(({ protocols }) => protocols.some((protocol) => protocol !== 'udp'))
    .map(({ listen }) => listen);
  await waitUntilReady(program, () => areListening(ports));
  const { id, label, asksNobody } = peer;
  return { id, label, asksNobody, host: '127.0.0.1', port: routes[0].listen, pid: program.pid, program };
}
