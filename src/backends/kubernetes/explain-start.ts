/**
 * Why a workload that was scaled up has no ready pod. Input: its pods, and the events about them or about itself, asked for
 * once, after a start has failed. Output: words that name the pod and the container.
 */
import { type ScalableRef, workloadPath } from './api/api-paths.ts';
import type { ContainerStatus, KubeEvent, KubeList, Pod, ScalableWorkload } from './api/api-shapes.ts';
import type { KubeClient } from './api/kube-client.ts';

interface Question {
  readonly client: KubeClient;
  readonly ref: ScalableRef;
  readonly signal: AbortSignal;
}

/** Of pods, and of events: more would say the same. */
const MAX_OBJECTS = '50';
/** Every container is in one of these states at first; what keeps it there stands in the pod's events. */
const ORDINARY_WAITS = new Set(['ContainerCreating', 'PodInitializing']);

/**
 * What keeps the workload's pods from being ready, in the cluster's words; undefined where it doesn't say.
 * @throws as `KubeClient.request`, where the pods or events may not be listed, too.
 */
export async function explainStart(question: Question): Promise<string | undefined> {
  const pods = await listPods(question);
  for (const pod of pods) {
    const trouble = describePod(pod);
    if (trouble !== undefined) return trouble;
  }
  const [newest] = pods;
  const { resource, name } = question.ref;
  const about = newest === undefined ? undefined : newest.metadata.name;
  const kind = resource === 'deployment' ? 'Deployment' : 'StatefulSet';
  const told = await findWarning(
    question,
    about === undefined ? { kind, name } : { kind: 'Pod', name: about },
  );
  if (told !== undefined) return about === undefined ? told : `pod ${about}: ${told}`;
  return newest === undefined ? undefined : describeUnready(newest);
}

/** Those that aren't meant to go, newest first. */
async function listPods({ client, ref, signal }: Question): Promise<readonly Pod[]> {
  const { spec } = await client.request<ScalableWorkload>({ method: 'GET', path: workloadPath(ref), signal });
  const labelSelector = writeSelector(spec?.selector);
  if (labelSelector === '') return [];
  const path = `/api/v1/namespaces/${encodeURIComponent(ref.namespace)}/pods`;
  const query = { labelSelector, limit: MAX_OBJECTS };
  const { items } = await client.request<KubeList<Pod>>({ method: 'GET', path, query, signal });
  return (items ?? [])
    .filter(({ metadata }) => !metadata.deletionTimestamp)
    .sort((a, b) => ((a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? 1 : -1));
}

/** As a list's `labelSelector` wants it; empty where it selects nothing that could be asked for. */
function writeSelector(selector: NonNullable<ScalableWorkload['spec']>['selector']): string {
  const labels = Object.entries(selector?.matchLabels ?? {}).map(([label, value]) => `${label}=${value}`);
  const expressions = (selector?.matchExpressions ?? []).map(({ key, operator, values }) => {
    switch (operator) {
      case 'In':
        return `${key} in (${(values ?? []).join(',')})`;
      case 'NotIn':
        return `${key} notin (${(values ?? []).join(',')})`;
      case 'DoesNotExist':
        return `!${key}`;
      default:
        return key;
    }
  });
  return [...labels, ...expressions].join(',');
}

/** What a pod says by itself; undefined where that is nothing out of the ordinary. */
function describePod({ metadata, status }: Pod): string | undefined {
  const who = `pod ${metadata.name}`;
  const unscheduled = (status?.conditions ?? []).find(
    ({ type, status: holds }) => type === 'PodScheduled' && holds === 'False',
  );
  if (unscheduled !== undefined)
    return `${who} is not scheduled: ${unscheduled.message ?? unscheduled.reason}`;
  const containers = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  for (const container of containers) {
    const trouble = describeContainer(container);
    if (trouble !== undefined) return `${who}, container ${container.name}: ${trouble}`;
  }
  if (status?.phase !== 'Failed') return undefined;
  return `${who} has failed: ${[status.reason, status.message].filter(Boolean).join(': ')}`;
}

function describeContainer({ state, lastState }: ContainerStatus): string | undefined {
  const { waiting } = state ?? {};
  const ended = state?.terminated ?? lastState?.terminated;
  const end =
    ended === undefined || ended === null || ended.exitCode === 0
      ? undefined
      : `it ended with status ${ended.exitCode}${ended.reason ? ` (${ended.reason})` : ''}`;
  const isWaiting = waiting?.reason !== undefined && !ORDINARY_WAITS.has(waiting.reason);
  if (!isWaiting) return end;
  return [waiting.reason, waiting.message, end].filter(Boolean).join(': ');
}

function describeUnready({ metadata, status }: Pod): string | undefined {
  const ready = (status?.conditions ?? []).find(({ type }) => type === 'Ready');
  if (ready?.status !== 'False') return undefined;
  return `pod ${metadata.name} is not ready${ready.message ? `: ${ready.message}` : ''}`;
}

/** The newest warning about one object. */
async function findWarning(
  { client, ref, signal }: Question,
  about: { readonly kind: string; readonly name: string },
): Promise<string | undefined> {
  const path = `/api/v1/namespaces/${encodeURIComponent(ref.namespace)}/events`;
  const fields = { 'involvedObject.kind': about.kind, 'involvedObject.name': about.name, type: 'Warning' };
  const fieldSelector = Object.entries(fields)
    .map(([field, value]) => `${field}=${value}`)
    .join(',');
  const query = { fieldSelector, limit: MAX_OBJECTS };
  const { items } = await client.request<KubeList<KubeEvent>>({ method: 'GET', path, query, signal });
  const times = (items ?? []).map((event) => ({ event, at: timeOf(event) }));
  const newest = times.sort((a, b) => (a.at < b.at ? 1 : -1))[0]?.event;
  return newest && [newest.reason, newest.message].filter(Boolean).join(': ');
}

function timeOf({ lastTimestamp, eventTime, metadata }: KubeEvent): string {
  return lastTimestamp ?? eventTime ?? metadata.creationTimestamp ?? '';
}
