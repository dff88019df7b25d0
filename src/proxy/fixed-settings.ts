import type { Problem } from '../model/problem.ts';
import { isSameData } from '../model/same-data.ts';
import type { Settings } from '../model/settings.ts';
import type { ResolvedSettings, SettingName } from '../table/resolve-settings.ts';

/** The settings that a running proxy keeps as they were at its start, and how each is read. */
const FIXED: { readonly [N in SettingName]?: (settings: Settings) => unknown } = {
  status: ({ status }) => status,
  relay: ({ relay }) => relay,
  udp_queue_total: ({ udpQueueTotalBytes }) => udpQueueTotalBytes,
  'docker.socket': ({ docker }) => docker.socket,
  'kubernetes.namespaces': ({ kubernetes }) => kubernetes.namespaces,
  'kubernetes.discover': ({ kubernetes }) => kubernetes.discover,
  'kubernetes.cluster_domain': ({ kubernetes }) => kubernetes.clusterDomain,
  'kubernetes.lease_duration': ({ kubernetes }) => kubernetes.leaseDurationMs,
  'kubernetes.lease_namespace': ({ kubernetes }) => kubernetes.leaseNamespace,
};

/** A warning for each setting whose newest value waits for the next start, compared with what is in force. */
export function findWaitingSettings(inForce: Settings, newest: ResolvedSettings): readonly Problem[] {
  return (Object.keys(FIXED) as SettingName[]).flatMap((name): readonly Problem[] => {
    const read = FIXED[name];
    if (read === undefined || isSameData(read(inForce), read(newest.settings))) return [];
    const message = `${name === 'status' ? 'status.listen' : name}: the change takes effect at the next start`;
    return [{ code: 'restart-needed', severity: 'warning', message, origin: newest.origins[name] }];
  });
}
