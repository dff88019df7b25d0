import type { Clock } from '../../../system/clock.ts';
import { withDeadline } from '../../../system/waiting/deadline.ts';
import type { Lease } from '../api/api-shapes.ts';
import type { KubeClient } from '../api/kube-client.ts';
import { KubeRefusal, KubeUnreachable } from '../api/kube-errors.ts';
import { listObjects } from '../api/kube-list.ts';
import { LEASE_SELECTOR, type LeaseRecord, readLease } from './lease-record.ts';
import type { KubeRequest } from '../api/kube-transport.ts';
import { checkNames } from '../api/object-names.ts';
import { FIELD_MANAGER } from './contest.ts';

/** A merge patch sets what it names and leaves the rest; what is null in it is removed. */
const MERGE_PATCH = 'application/merge-patch+json';
const WRITTEN_BY = { fieldManager: FIELD_MANAGER };

/**
 * Calls about the Leases of one namespace. All throw {KubeRefusal} where the API server says no, {KubeUnreachable}
 * where it doesn't answer in time, the signal's reason when it aborts.
 */
export class LeaseApi {
  readonly #client: KubeClient;
  readonly #clock: Clock;
  readonly #answerMs: number;
  /** Of the list. */
  readonly path: string;

  constructor(options: {
    readonly client: KubeClient;
    readonly namespace: string;
    readonly clock: Clock;
    /** For so long an answer is waited for. */
    readonly answerMs: number;
  }) {
    this.#client = options.client;
    this.#clock = options.clock;
    this.#answerMs = options.answerMs;
    this.path = `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(options.namespace)}/leases`;
  }

  /** All of ours. */
  list(signal: AbortSignal): Promise<readonly LeaseRecord[]> {
    return this.#withDeadline(signal, async (signal) => {
      const query = { labelSelector: LEASE_SELECTOR };
      const { items } = await listObjects(this.#client, {
        path: this.path,
        query,
        select: readLease,
        signal,
      });
      return items;
    });
  }

  /** Undefined where there is none. */
  async read(name: string, signal: AbortSignal): Promise<LeaseRecord | undefined> {
    try {
      return await this.#write({ method: 'GET', path: this.#pathOf(name), signal });
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  create(lease: Lease, signal: AbortSignal): Promise<LeaseRecord> {
    return this.#write({ method: 'POST', path: this.path, query: WRITTEN_BY, body: lease, signal });
  }

  /** Only where it still has the lease's resourceVersion, where that has one. */
  patch(lease: Lease, signal: AbortSignal): Promise<LeaseRecord> {
    const path = this.#pathOf(lease.metadata.name);
    const contentType = MERGE_PATCH;
    return this.#write({ method: 'PATCH', path, query: WRITTEN_BY, body: lease, contentType, signal });
  }

  /** Success where it is gone already. @param options.version only where it still has this one. */
  async remove(
    name: string,
    options: { readonly version?: string; readonly signal: AbortSignal },
  ): Promise<void> {
    const { version, signal } = options;
    const preconditions = version === undefined ? undefined : { resourceVersion: version };
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions };
    const path = this.#pathOf(name);
    try {
      await this.#withDeadline(signal, (signal) =>
        this.#client.request({ method: 'DELETE', path, body, signal }),
      );
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  #pathOf(name: string): string {
    return `${this.path}/${encodeURIComponent(name)}`;
  }

  #write(request: KubeRequest): Promise<LeaseRecord> {
    return this.#withDeadline(request.signal, async (signal) =>
      readLease(checkNames(await this.#client.request<Lease>({ ...request, signal }))),
    );
  }

  async #withDeadline<T>(parent: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const timeoutMs = this.#answerMs;
    const expired = () => new KubeUnreachable(`no answer from the API server within ${timeoutMs / 1_000} s`);
    return await withDeadline(work, { clock: this.#clock, timeoutMs, parent, expired });
  }
}

export function isMissing(error: unknown): boolean {
  return error instanceof KubeRefusal && error.status === 404;
}

/** Whether somebody else has written the Lease meanwhile, or created it. */
export function isConflict(error: unknown): boolean {
  return error instanceof KubeRefusal && error.status === 409;
}
