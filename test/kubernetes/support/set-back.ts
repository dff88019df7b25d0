import { followObjects } from './follow-objects.ts';
import type { KubeBed, TestWorkload } from './kube-bed.ts';
import { workloadsPath } from './manifests.ts';

/** Scales a Deployment to `replicas` under the name of `manager` whenever it is at 0, as a GitOps tool does. */
export function setBack(
  bed: KubeBed,
  options: { readonly app: TestWorkload; readonly manager: string; readonly replicas: number },
): { readonly times: () => number; stop(): void } {
  const { app, manager, replicas } = options;
  const path = `${workloadsPath(bed.namespace)}/${app.name}/scale?fieldManager=${manager}`;
  const follower = followObjects(bed.admin, workloadsPath(bed.namespace));
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
