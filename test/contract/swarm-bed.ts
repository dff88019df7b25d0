import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { systemClock } from '../../src/system/clock.ts';
import { silentLogger } from '../../src/system/log/logger.ts';
import { APP_SCRIPT } from '../engine/support/app-script.ts';
import { localApp } from '../engine/support/apps.ts';
import { createScope } from '../engine/support/engine.ts';
import { nodeImage } from '../engine/support/image.ts';
import {
  createService,
  removeServices,
  type SwarmEngine,
  type TestService,
} from '../engine/support/swarm.ts';
import { createSwarmBackend } from '../support/lone-backends.ts';
import type { ContractBed, ContractWorkload } from './contract-bed.ts';
import { openSwitchedRelay } from './switched-relay.ts';

/** Services of a swarm. */
export async function openSwarmBed({ docker, engine }: SwarmEngine): Promise<ContractBed> {
  const scope = createScope({ host: engine.host });
  onTestFinished(() => removeServices(docker, scope.prefix));
  const folder = await mkdtemp(path.join(tmpdir(), 'lpt-contract-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const socketPath = path.join(folder, 'docker.sock');
  const relay = await openSwitchedRelay({ path: socketPath }, { path: engine.socketPath });
  onTestFinished(() => relay.close());
  const image = await nodeImage(engine.host);
  let created = 0;
  return {
    createBackend: () =>
      createSwarmBackend({
        ...{ socket: socketPath, env: {}, labels: true, labelPrefixes: [scope.prefix] },
        ...{ clock: systemClock, logger: silentLogger },
      }),
    createWorkload() {
      created += 1;
      return createWorkload({ docker, image, prefix: scope.prefix, name: scope.name(`app-${created}`) });
    },
    nameMissing: () => ({ kind: 'swarm', service: scope.name('missing') }),
    outage: { begin: relay.cut, end: relay.restore },
  };
}

async function createWorkload(options: {
  readonly docker: SwarmEngine['docker'];
  readonly image: string;
  readonly prefix: string;
  readonly name: string;
}): Promise<ContractWorkload> {
  const { docker, image, prefix, name } = options;
  const { env } = localApp({ stopDelayMs: 300 });
  const create = () =>
    createService(docker, {
      ...{ name, image, env, cmd: ['node', '-e', APP_SCRIPT] },
      labels: { [`${prefix}.enabled`]: 'true' },
      ports: [{ target: 80 }],
    });
  let service: TestService = await create();
  return {
    workload: { kind: 'swarm', service: name },
    targetPort: 80,
    starts: () => countStarts(docker, name),
    outside: {
      start: () => service.scale(1),
      stop: () => service.scale(0),
      remove: () => service.remove(),
      async recreate() {
        service = await create();
      },
    },
  };
}

/** A question about the past, which the engine answers with all of it. */
async function countStarts(docker: SwarmEngine['docker'], name: string): Promise<number> {
  const until = Math.ceil(Date.now() / 1000);
  const label = [`com.docker.swarm.service.name=${name}`];
  const filters = JSON.stringify({ type: ['container'], label, event: ['start'] });
  const stream = await docker.getEvents({ since: until - 600, until, filters });
  const chunks: string[] = [];
  for await (const chunk of stream.setEncoding('utf8')) chunks.push(String(chunk));
  return chunks.join('').trim().split('\n').filter(Boolean).length;
}
