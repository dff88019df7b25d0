import { afterAll, beforeAll, describe } from 'vitest';
import { type PrivatePodman, startPrivatePodman } from '../../scripts/private-podman.mjs';
import { describeBackendContract } from '../contract/backend-contract.ts';
import { openDockerBed } from '../contract/docker-bed.ts';
import { nodeImage } from './support/image.ts';
import { whyNoPodman } from './support/podman.ts';

describe.skipIf(whyNoPodman() !== undefined)('on Podman', () => {
  let podman: PrivatePodman;
  beforeAll(async () => {
    podman = await startPrivatePodman();
    await nodeImage(podman.host);
  });
  afterAll(() => podman?.stop());

  describeBackendContract('docker', {
    open: () => openDockerBed(podman.host),
    features: { labels: true, outside: true, outage: true },
  });
});
