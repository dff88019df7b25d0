import { describeBackendContract } from '../contract/backend-contract.ts';
import { openKubernetesBed } from '../contract/kubernetes-bed.ts';

for (const resource of ['deployment', 'statefulset'] as const) {
  describeBackendContract(`kubernetes (${resource})`, {
    open: () => openKubernetesBed(resource),
    features: { labels: true, outside: true, outage: true },
  });
}
