/** What all parts share: the tools, the peers, the engine with the upstream in it, and a folder. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startPrivateEngine, sweepAbandonedEngines } from '../../../scripts/private-engine.mjs';
import { listPeers, listWebPeers } from '../peers/list-peers.mjs';
import { killGroup } from './program.mjs';
import { startUpstream } from './upstream.mjs';

/**
 * @param {{ cleanup: object, tools: object, product: { dist: string, program: string }, quick: boolean,
 *   signal: AbortSignal, log: (line: string) => void }} options
 */
export async function openBed(options) {
  const { cleanup, tools, product, log } = options;
  const making = mkdtemp(path.join(tmpdir(), 'lazy-proxy-bench-'));
  const folder = await cleanup.own(making, (made) => rm(made, { recursive: true, force: true }));
  const children = new Set();
  await cleanup.own(Promise.resolve(children), endAll);
  log('starting an engine with the upstream in a container …');
  await sweepAbandonedEngines();
  const engine = await cleanup.own(startPrivateEngine(), ({ stop }) => stop());
  const upstream = await startUpstream(engine, tools);
  const parts = { tools, program: product.program, host: engine.host, folder, children };
  const [peers, webPeers] = [await listPeers(parts), await listWebPeers(parts)];
  return { ...options, folder, children, engine, upstream, peers, webPeers };
}

function endAll(children) {
  for (const child of children) killGroup(child, 'SIGKILL');
}
