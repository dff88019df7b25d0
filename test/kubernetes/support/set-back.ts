import type { KubernetesResource } from '../../../src/model/workload.ts';
import { followObjects } from './follow-objects.ts';
import type { KubeBed, TestWorkload } from './kube-bed.ts';
import { workloadsPath } from './manifests.ts';

/**
 * Scales a workload to `replicas` under the name of `manager` whenever it is at 0.
 * @param options.through its scale, as autoscalers do, or the workload itself, as GitOps tools do.
 */
export function setBack(
  bed: KubeBed,
  options: {
    readonly app: TestWorkload;
    readonly resource: KubernetesResource;
    readonly through: 'scale' | 'itself';
    readonly manager: string;
    readonly replicas: number;
  },
): { readonly times: () => number; stop(): void } {
  const { app, resource, through, manager, replicas } = options;
  const collection = workloadsPath(bed.namespace, resource);
  const path = `${collection}/${app.name}${through === 'scale' ? '/scale' : ''}?fieldManager=${manager}`;
  const follower = followObjects(bed.admin, collection);
  bed.atEnd(() => follower.close());
  let times = 0;
  const look = { timeoutMs: 60_000 };
  const followOn = async () => {
    for (;;) {
      await follower.until((all) => all.get(app.name)?.spec.replicas === 0, look);
      times += 1;
      await bed.admin.patch(path, { spec: { replicas } });
      await follower.until((all) => all.get(app.name)?.spec.replicas === replicas, look);
    }
  };
  // It ends when nothing is told any more.
  followOn().catch(() => {});
  return { times: () => times, stop: () => follower.close() };
}
