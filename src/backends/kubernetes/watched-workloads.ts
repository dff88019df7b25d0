import { isDeepStrictEqual } from 'node:util';
import { type Observation, UNKNOWN } from '../../model/running/observation.ts';
import { type KubernetesWorkload, workloadKey } from '../../model/workload.ts';
import { namespacedName } from './api/api-paths.ts';

export interface WatchedWorkloadsOptions {
  /** What is known of a workload now, without I/O; UNKNOWN where nobody could ask. */
  readonly view: (workload: KubernetesWorkload) => Observation;
  readonly observed: (key: string, observation: Observation) => void;
}

interface Watched {
  readonly workload: KubernetesWorkload;
  last: Observation;
}

/** The workloads that the layers above watch: looks at them when asked to, and tells what is new. */
export class WatchedWorkloads {
  readonly #options: WatchedWorkloadsOptions;
  readonly #watched = new Map<string, Watched>();
  /** Keys of the watched workloads by the Service that they are reached through. */
  readonly #byService = new Map<string, Set<string>>();

  constructor(options: WatchedWorkloadsOptions) {
    this.#options = options;
  }

  list(): readonly KubernetesWorkload[] {
    return [...this.#watched.values()].map(({ workload }) => workload);
  }

  /** Watches it from now on, with these settings in place of earlier ones. Returns what is known now. */
  watch(workload: KubernetesWorkload): Observation {
    this.unwatch(workload);
    const key = workloadKey(workload);
    const last = this.#options.view(workload);
    this.#watched.set(key, { workload, last });
    const serviceKey = serviceKeyOf(workload);
    this.#byService.set(serviceKey, (this.#byService.get(serviceKey) ?? new Set()).add(key));
    return last;
  }

  unwatch(workload: KubernetesWorkload): void {
    const key = workloadKey(workload);
    const watched = this.#watched.get(key);
    if (watched === undefined) return;
    this.#watched.delete(key);
    const serviceKey = serviceKeyOf(watched.workload);
    const keys = this.#byService.get(serviceKey);
    keys?.delete(key);
    if (keys?.size === 0) this.#byService.delete(serviceKey);
  }

  /** Looks at one workload, where it is watched. */
  look(key: string): void {
    const watched = this.#watched.get(key);
    if (watched === undefined) return;
    const observation = this.#options.view(watched.workload);
    // While nobody can ask, the last observation stands.
    if (observation === UNKNOWN || isDeepStrictEqual(observation, watched.last)) return;
    watched.last = observation;
    this.#options.observed(key, observation);
  }

  /** Looks at all that are reached through the Service `namespace/name`. */
  lookAtService(serviceKey: string): void {
    for (const key of this.#byService.get(serviceKey) ?? []) this.look(key);
  }

  lookAtAll(): void {
    for (const key of this.#watched.keys()) this.look(key);
  }
}

function serviceKeyOf({ namespace, service }: KubernetesWorkload): string {
  return namespacedName(namespace, service);
}
