import { describeBackendContract } from './backend-contract.ts';
import { openProcessBed } from './process-bed.ts';

describeBackendContract('process', {
  open: openProcessBed,
  features: { labels: false, outside: false, outage: false },
});
