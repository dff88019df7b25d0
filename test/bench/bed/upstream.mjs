/** The servers behind every proxy: in a container, so that what is relayed to them crosses a bridge. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { callEngine } from '../../../scripts/engine-api.mjs';
import { importOnce } from '../../support/images/import-image.mjs';
import { canConnect } from './connect.mjs';
import { findMaxDescriptors } from './descriptors.mjs';
import { listUpstreamEntries, UPSTREAM_PORTS } from './upstream-files.mjs';

const NETWORK = 'bench';
const START_TIMEOUT_MS = 10_000;

/**
 * Imports the image, makes a network with fixed addresses, and starts a container with all servers.
 * @returns what parts need to know, and `createSleeper` for further containers. Everything goes with the engine.
 */
export async function startUpstream(engine, tools) {
  const name = `lazy-proxy-bench/upstream:${createHash('sha256').update(JSON.stringify(tools)).digest('hex').slice(0, 12)}`;
  const image = await importOnce(engine.host, { name, listEntries: () => listUpstreamEntries(tools) });
  const addressOf = await createNetwork(engine.host);
  const api = createApi(engine.host, { image, addressOf });
  const upstream = await api.createContainer('upstream', { cmd: ['sh', '/start.sh'], host: 10 });
  await api.start(upstream);
  await waitForServers(upstream, tools);
  return { ...api, ...upstream, ports: UPSTREAM_PORTS };
}

/**
 * A network whose subnet is our own choice, which is what fixed addresses need: that which the engine would take.
 * @returns tells the address of the subnet's host of that number.
 */
async function createNetwork(host) {
  const probe = await post(host, '/networks/create', { Name: NETWORK });
  const { body } = await callEngine(host, 'GET', `/networks/${probe.Id}`);
  await callEngine(host, 'DELETE', `/networks/${probe.Id}`);
  const { Subnet } = JSON.parse(body).IPAM.Config[0];
  await post(host, '/networks/create', { Name: NETWORK, IPAM: { Config: [{ Subnet }] } });
  const [, prefix, first] = /^(.+)\.(\d+)\/\d+$/.exec(Subnet);
  return (number) => `${prefix}.${Number(first) + number}`;
}

function createApi(host, { image, addressOf }) {
  const descriptors = findMaxDescriptors();
  return {
    /** @param {{ cmd: readonly string[], host?: number }} options `host`: its number in the subnet. */
    async createContainer(container, { cmd, host: number }) {
      const address = number === undefined ? undefined : addressOf(number);
      const endpoint = address === undefined ? {} : { IPAMConfig: { IPv4Address: address } };
      await post(host, `/containers/create?name=${container}`, {
        ...{ Image: image, Cmd: cmd },
        HostConfig: {
          NetworkMode: NETWORK,
          Ulimits: [{ Name: 'nofile', Soft: descriptors, Hard: descriptors }],
        },
        NetworkingConfig: { EndpointsConfig: { [NETWORK]: endpoint } },
      });
      return { container, address };
    },
    start: ({ container }) => post(host, `/containers/${container}/start`),
    kill: ({ container }) => post(host, `/containers/${container}/kill`),
    async isRunning({ container }) {
      const { body } = await callEngine(host, 'GET', `/containers/${container}/json`);
      return JSON.parse(body).State.Running;
    },
  };
}

async function post(host, requestPath, json) {
  const { status, body } = await callEngine(host, 'POST', requestPath, json === undefined ? {} : { json });
  if (status >= 300) throw new Error(`the engine answered ${status} to ${requestPath}: ${body.trim()}`);
  return body === '' ? undefined : JSON.parse(body);
}

async function waitForServers({ address }, tools) {
  const wanted = [tools.iperf3 && UPSTREAM_PORTS.iperf, tools.nginx && UPSTREAM_PORTS.http];
  const deadlineMs = performance.now() + START_TIMEOUT_MS;
  for (const port of wanted.filter((port) => port !== undefined)) {
    while (!(await canConnect(address, port))) {
      if (performance.now() > deadlineMs) throw new Error(`nobody listens at ${address}:${port}`);
      await sleep(50);
    }
  }
}
