import { describeBackendContract } from '../contract/backend-contract.ts';
import { openDockerBed } from '../contract/docker-bed.ts';

describeBackendContract('docker', {
  open: openDockerBed,
  features: { labels: true, outside: true, outage: true },
});
