import type { ScalableRef } from './api-paths.ts';

/** What the cluster makes names of: no vowels, and nothing that looks like another character. */
const RANDOM = '[bcdfghjklmnpqrstvwxz2456789]';
const OF_DEPLOYMENT = new RegExp(`^(.+)-${RANDOM}{1,10}-${RANDOM}{5}$`);
const OF_STATEFUL_SET = /^(.+)-\d+$/;

/**
 * The workload that a pod belongs to, by the name that its controller gave it: `<deployment>-<hash>-<random>` or
 * `<statefulset>-<number>`. No right is needed for that, and nothing is asked. Undefined where it is neither; the names of
 * Deployments of more than 46 characters are cut short in those of their pods, and are not recognised.
 */
export function findOwnWorkload({
  namespace,
  pod,
}: {
  readonly namespace: string;
  readonly pod: string;
}): ScalableRef | undefined {
  const [, deployment] = OF_DEPLOYMENT.exec(pod) ?? [];
  if (deployment !== undefined) return { resource: 'deployment', namespace, name: deployment };
  const [, statefulSet] = OF_STATEFUL_SET.exec(pod) ?? [];
  return statefulSet === undefined ? undefined : { resource: 'statefulset', namespace, name: statefulSet };
}
