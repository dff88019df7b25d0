/** The proxy as a container of the engine that it watches. */
import { readFile } from 'node:fs/promises';
import type { ContainerSpec, TestContainer } from './container.ts';
import type { Scope } from './engine.ts';
import { engineAddress, engineHost } from './engine-address.ts';
import type { LogLine } from './log-lines.ts';
import { proxyImage } from './proxy-image.ts';
import { waitUntil } from './wait-until.ts';

export interface ProxyContainer extends TestContainer {
  /** The first address it had: that of the network on which it was started. */
  readonly address: string;
  logLines(): Promise<readonly LogLine[]>;
  /** Resolves when a line with that message was logged. */
  waitForMessage(message: string): Promise<void>;
  /** States of the children of its process 1, as the system tells them: `S`, or `Z` for one whose end nobody takes. */
  childStates(): Promise<readonly string[]>;
  /** Names of the networks that it is on. */
  networks(): Promise<readonly string[]>;
}

/** The socket of the engine under test, which is mounted into the proxy. */
export function engineSocket(): string {
  const address = engineAddress(engineHost());
  if ('socketPath' in address) return address.socketPath;
  throw new Error(`the engine at ${engineHost()} has no socket that could be mounted`);
}

/** Starts the proxy in a container and resolves once it is ready. */
export async function runProxyContainer(
  scope: Scope,
  spec: Partial<ContainerSpec> & { readonly name: string },
): Promise<ProxyContainer> {
  const container = await scope.runContainer({
    ...spec,
    image: await proxyImage(),
    env: { LOG_FORMAT: 'json', LOG_LEVEL: 'debug', ...spec.env },
    binds: [`${engineSocket()}:/var/run/docker.sock`, ...(spec.binds ?? [])],
  });
  return await waitForProxy(container);
}

/** Resolves once the proxy in a container that was started is ready; it has to log JSON. */
export async function waitForProxy(container: TestContainer): Promise<ProxyContainer> {
  const proxy = wrapProxy(container, (await container.addresses())[0] ?? '');
  await waitUntil(() => isReady(proxy), { timeoutMs: 30_000, everyMs: 100, what: 'the start of the proxy' });
  return proxy;
}

function wrapProxy(container: TestContainer, address: string): ProxyContainer {
  const logLines = async () => {
    const lines = (await container.logs()).split('\n').filter((line) => line.startsWith('{'));
    return lines.map((line) => JSON.parse(line) as LogLine);
  };
  return {
    ...container,
    address,
    logLines,
    async waitForMessage(message) {
      const isThere = async () => (await logLines()).some(({ msg }) => msg === message);
      await waitUntil(isThere, { timeoutMs: 30_000, what: `the log line "${message}"` });
    },
    async childStates() {
      const { Pid } = (await container.inspect()).State;
      const children = (await readFile(`/proc/${Pid}/task/${Pid}/children`, 'utf8')).split(' ');
      const stats = children
        .filter((id) => id.trim() !== '')
        .map((id) => readFile(`/proc/${id}/stat`, 'utf8').catch(() => ''));
      return (await Promise.all(stats)).map((stat) => /.*\) (\w)/.exec(stat)?.[1] ?? 'gone');
    },
    networks: async () => Object.keys((await container.inspect()).NetworkSettings.Networks).sort(),
  };
}

async function isReady(proxy: ProxyContainer): Promise<boolean> {
  const text = await proxy.logs();
  if ((await proxy.state()) === 'exited') throw new Error(`the proxy ended:\n${text}`);
  return text.includes('ready: ');
}
