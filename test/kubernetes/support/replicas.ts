/** Several replicas of the proxy on one machine, which serve the same workload at ports of their own. */
import { setTimeout as pass } from 'node:timers/promises';
import type { ProxyProcess } from '../../engine/support/proxy.ts';
import type { TcpClient } from '../../engine/support/tcp.ts';
import type { ServiceFields } from '../../engine/support/test-bed.ts';
import type { ApiCall, AuditLog } from './audit-log.ts';
import { type ConfigContent, startConfiguredProxy } from './configured-proxy.ts';
import type { KubeBed } from './kube-bed.ts';

export interface Replica {
  readonly proxy: ProxyProcess;
  /** Where it listens for clients of the workload `app`. */
  readonly port: number;
  /** The scalings that it asked for and got. */
  scalings(): Promise<readonly ApiCall[]>;
  /** Every scaling that it asked for. */
  triedScalings(): Promise<readonly ApiCall[]>;
}

/** Starts a replica that serves the Deployment `app` at `port`. */
export async function startReplica(
  bed: KubeBed,
  options: {
    readonly name: string;
    readonly port: number;
    readonly fields: ServiceFields;
    readonly kubernetes?: ConfigContent['kubernetes'];
  },
): Promise<Replica> {
  const { name, port, fields, kubernetes } = options;
  const identity = await bed.createIdentity({ name });
  const log = await bed.openAuditLog(identity);
  const app = { deployment: `${bed.namespace}/app`, ports: [`${port}:80`], ...fields };
  const proxy = await startConfiguredProxy(bed, {
    ...{ identity, content: { ...(kubernetes && { kubernetes }), services: { app } } },
  });
  const triedScalings = () => readScalings(log);
  return {
    proxy,
    port,
    triedScalings,
    scalings: async () => (await triedScalings()).filter(({ status }) => status === 200),
  };
}

/** Resolves with the line that says so. */
export function untilSleeper({ proxy }: Replica, options: { readonly timeoutMs?: number } = {}) {
  return proxy.waitForLog(({ event, msg }) => event === 'sharing' && isSleeperLine(msg), options);
}

export function untilStandby({ proxy }: Replica) {
  return proxy.waitForLog(({ event, msg }) => event === 'sharing' && msg.includes('stands by'));
}

function isSleeperLine(text: string): boolean {
  return text.includes('puts workloads to sleep from now on');
}

async function readScalings(log: AuditLog): Promise<readonly ApiCall[]> {
  const calls = await log.calls();
  return calls.filter(({ verb, resource }) => verb === 'patch' && resource === 'deployments/scale');
}

/** Sends something every 100 ms for `durationMs`, and waits for each answer. */
export async function converse(
  client: TcpClient,
  options: { readonly durationMs: number; readonly answer: string },
): Promise<void> {
  const endMs = performance.now() + options.durationMs;
  while (performance.now() < endMs) {
    await client.send('.');
    const text = (await client.readAtLeast(1)).toString();
    if (text !== options.answer) throw new Error(`the answer was "${text}"`);
    await pass(100);
  }
}
