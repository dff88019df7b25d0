import { createCaddy } from './caddy.mjs';
import { buildInGo, createGoRelay, createGoWeb } from './go-relay.mjs';
import { createHaproxy } from './haproxy.mjs';
import { createLazyProxy } from './lazy-proxy.mjs';
import { createNginx, createNginxWeb } from './nginx.mjs';
import { createNodeFloor } from './node-floor.mjs';

/**
 * Those relays that can be run on this machine, ours first. A peer is `{ id, label, protocols, start(routes, options) }`.
 * @param {{ tools: object, program: string, host: string, folder: string, children: Set<unknown> }} options
 */
export async function listPeers({ tools, program, host, folder, children }) {
  const { nginx, streamModule, haproxy, go } = tools;
  const env = { LAZY_PROXY_RELAY: 'stream' };
  return [
    createLazyProxy({ id: 'lazy', label: 'lazy-proxy', program, host }),
    createLazyProxy({ id: 'streams', label: '(plain streams)', program, host, env }),
    ...(nginx && streamModule ? [createNginx({ nginx, streamModule })] : []),
    ...(haproxy ? [createHaproxy({ haproxy })] : []),
    ...(go ? [createGoRelay(await buildInGo({ name: 'go-relay', go, folder, children }))] : []),
  ];
}

/** As `listPeers`, those that forward HTTP by themselves. */
export async function listWebPeers({ tools, program, host, folder, children }) {
  const { nginx, caddy, go } = tools;
  return [
    createLazyProxy({ id: 'lazy', label: 'lazy-proxy', program, host }),
    ...(nginx ? [createNginxWeb({ nginx })] : []),
    ...(caddy ? [createCaddy({ caddy })] : []),
    ...(go ? [createGoWeb(await buildInGo({ name: 'go-web', go, folder, children }))] : []),
    createNodeFloor(),
  ];
}
