import { mkdtemp, rm } from 'node:fs/promises';
import type { NetConnectOpts } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { systemClock } from '../../src/system/clock.ts';
import { silentLogger } from '../../src/system/log/logger.ts';
import { nodeApp } from '../engine/support/apps.ts';
import type { TestContainer } from '../engine/support/container.ts';
import { createScope, type Scope } from '../engine/support/engine.ts';
import { type EngineAddress, engineAddress, engineHost } from '../engine/support/engine-address.ts';
import { createDockerBackend } from '../support/lone-backends.ts';
import type { ContractBed, ContractWorkload } from './contract-bed.ts';
import { openSwitchedRelay } from './switched-relay.ts';

/** Containers of an engine. @param host as in DOCKER_HOST; default: the engine under test. */
export async function openDockerBed(host: string = engineHost()): Promise<ContractBed> {
  const scope = createScope({ host });
  onTestFinished(() => scope.cleanup());
  const folder = await mkdtemp(path.join(tmpdir(), 'lpt-contract-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const socketPath = path.join(folder, 'docker.sock');
  const relay = await openSwitchedRelay({ path: socketPath }, toConnectOptions(engineAddress(host)));
  onTestFinished(() => relay.close());
  let created = 0;
  return {
    createBackend: () =>
      createDockerBackend({
        ...{ socket: socketPath, env: {}, labels: true, labelPrefixes: [scope.prefix] },
        ...{ clock: systemClock, logger: silentLogger },
      }),
    createWorkload() {
      created += 1;
      return createContainer(scope, scope.name(`app-${created}`));
    },
    nameMissing: () => ({ kind: 'docker', container: scope.name('missing') }),
    outage: { begin: relay.cut, end: relay.restore },
  };
}

async function createContainer(scope: Scope, name: string): Promise<ContractWorkload> {
  const labels = { [`${scope.prefix}.enabled`]: 'true' };
  const create = async () =>
    scope.createContainer({ name, labels, ...(await nodeApp({ stopDelayMs: 300 })) });
  let container: TestContainer = await create();
  return {
    workload: { kind: 'docker', container: name },
    targetPort: 80,
    starts: () => countStarts(scope, name),
    outside: {
      start: () => container.start(),
      stop: () => container.stop(),
      remove: () => container.remove(),
      async recreate() {
        container = await create();
      },
    },
  };
}

/** A question about the past, which the engine answers with all of it. */
async function countStarts({ docker }: Scope, name: string): Promise<number> {
  const until = Math.ceil(Date.now() / 1000);
  const filters = JSON.stringify({ container: [name], event: ['start'] });
  const stream = await docker.getEvents({ since: until - 600, until, filters });
  const chunks: string[] = [];
  for await (const chunk of stream.setEncoding('utf8')) chunks.push(String(chunk));
  return chunks.join('').trim().split('\n').filter(Boolean).length;
}

function toConnectOptions(address: EngineAddress): NetConnectOpts {
  return 'socketPath' in address ? { path: address.socketPath } : address;
}
