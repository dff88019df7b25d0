import { afterAll, beforeAll, describe } from 'vitest';
import { describeBackendContract } from '../contract/backend-contract.ts';
import { openSwarmBed } from '../contract/swarm-bed.ts';
import { whyNoPrivateEngine } from './support/private-engine.ts';
import { type SwarmEngine, startSwarmEngine } from './support/swarm.ts';

describe.skipIf(whyNoPrivateEngine() !== undefined)('on a real swarm', () => {
  let swarm: SwarmEngine;
  beforeAll(async () => {
    swarm = await startSwarmEngine();
    await swarm.init();
  });
  afterAll(() => swarm?.stop());

  describeBackendContract('swarm', {
    open: () => openSwarmBed(swarm),
    features: { labels: true, outside: true, outage: true },
  });
});
