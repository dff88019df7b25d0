/** The few calls to an engine's HTTP API that the scripts need, without dependencies. */
import http from 'node:http';

const CALL_TIMEOUT_MS = 30_000;
const BUILT_IN_NETWORKS = new Set(['bridge', 'host', 'none', 'nat', 'ingress', 'docker_gwbridge']);

/**
 * @param {string} host `unix:///path` or `tcp://host:port`, as in DOCKER_HOST.
 * @param {string} method
 * @param {string} requestPath
 * @param {{ timeoutMs?: number, json?: unknown }} [options] `json` is sent as the body.
 * @returns {Promise<{ status: number, body: string }>}
 */
export function callEngine(host, method, requestPath, { timeoutMs = CALL_TIMEOUT_MS, json } = {}) {
  return new Promise((resolve, reject) => {
    const options = { ...engineAddress(host), method, path: requestPath, agent: false, timeout: timeoutMs };
    const request = http.request(options, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }),
      );
    });
    request.once('timeout', () =>
      request.destroy(new Error(`no answer to ${method} ${requestPath} in time`)),
    );
    request.once('error', reject);
    if (json === undefined) return request.end();
    request.setHeader('content-type', 'application/json');
    request.end(JSON.stringify(json));
  });
}

/** What node:http needs to reach the engine. */
export function engineAddress(host) {
  const url = new URL(host);
  if (url.protocol === 'unix:') return { socketPath: decodeURIComponent(url.pathname) };
  if (url.protocol === 'tcp:' || url.protocol === 'http:')
    return { host: url.hostname, port: url.port || 2375 };
  throw new Error(`the engine address "${host}" is not unix:///path or tcp://host:port`);
}

/** True when an engine answers there. */
export async function pingEngine(host) {
  try {
    const { status } = await callEngine(host, 'GET', '/_ping', { timeoutMs: 3_000 });
    return status === 200;
  } catch {
    return false;
  }
}

/**
 * Removes containers, then networks.
 * @param {string} host
 * @param {{ label?: string }} [options] only those that carry this `name=value`; without it, all.
 */
export async function removeContainersAndNetworks(host, { label } = {}) {
  const filters = encodeURIComponent(JSON.stringify(label === undefined ? {} : { label: [label] }));
  for (const { Id } of await listFrom(host, `/containers/json?all=1&filters=${filters}`)) {
    await callEngine(host, 'DELETE', `/containers/${Id}?force=1&v=1`);
  }
  for (const { Id, Name } of await listFrom(host, `/networks?filters=${filters}`)) {
    if (!BUILT_IN_NETWORKS.has(Name)) await callEngine(host, 'DELETE', `/networks/${Id}`);
  }
}

async function listFrom(host, requestPath) {
  const { status, body } = await callEngine(host, 'GET', requestPath);
  if (status !== 200) throw new Error(`the engine answered ${status} to ${requestPath}: ${body.trim()}`);
  return JSON.parse(body);
}
