import { backoffMs } from '../../system/backoff.ts';
import type { Clock } from '../../system/clock.ts';
import { describeError } from '../../system/message-of.ts';
import type { ClusterSession } from './cluster-session.ts';
import type { KubeAccess } from './api/kube-transport.ts';
import { type Environment, loadKubeAccess } from './api/kube-config.ts';

export interface ClusterConnectionOptions {
  readonly env: Environment;
  /** Undefined: what the environment names. */
  readonly access: KubeAccess | undefined;
  readonly clock: Clock;
  /** @throws {Error} where the access can't be used. */
  readonly createSession: (access: KubeAccess) => ClusterSession;
  /** A session has had its first look. */
  readonly started: (session: ClusterSession) => void;
  /** There is no way to the cluster yet, and why; told on each change. */
  readonly failed: (reason: string) => void;
}

/** A kubeconfig may be put in place later, but nobody waits for that. */
const RETRY = { firstMs: 1_000, maxMs: 30_000 };

/** Finds the way to a cluster, however long that takes, and keeps the session with it. Whoever opens it closes it. */
export class ClusterConnection {
  readonly #options: ClusterConnectionOptions;
  readonly #lifetime = new AbortController();
  readonly #inUse = new Set<string>();
  readonly #waiters = new Set<() => void>();
  #session: ClusterSession | undefined;
  #running: Promise<void> | undefined;

  constructor(options: ClusterConnectionOptions) {
    this.#options = options;
  }

  /** Undefined until there is a way to the cluster. */
  get session(): ClusterSession | undefined {
    return this.#session;
  }

  /** Resolves after the first look at the cluster, or when it was told why there is none. It goes on by itself. */
  open(): Promise<void> {
    return new Promise((resolve) => {
      this.#running ??= this.#run(resolve).finally(resolve);
    });
  }

  /** The session as soon as there is one. @throws the signal's reason when it aborts. */
  whenConnected(signal: AbortSignal): Promise<ClusterSession> {
    return new Promise((resolve, reject) => {
      const check = () => {
        if (signal.aborted) reject(signal.reason);
        else if (this.#session !== undefined) resolve(this.#session);
        else return;
        this.#waiters.delete(check);
        signal.removeEventListener('abort', check);
      };
      this.#waiters.add(check);
      signal.addEventListener('abort', check, { once: true });
      check();
    });
  }

  /** Is told to the session, also to one that comes later. */
  setInUse(key: string, use: { readonly inUse: boolean }): void {
    if (use.inUse) this.#inUse.add(key);
    else this.#inUse.delete(key);
    this.#session?.setInUse(key, use);
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#lifetime.abort(new Error('the proxy is shutting down'));
    await this.#session?.close();
    await this.#running;
  }

  async #run(failed: () => void): Promise<void> {
    const session = await this.#connect(failed);
    if (session === undefined) return;
    this.#session = session;
    for (const key of this.#inUse) session.setInUse(key, { inUse: true });
    for (const wake of [...this.#waiters]) wake();
    await session.start();
    if (!this.#lifetime.signal.aborted) this.#options.started(session);
  }

  /** Undefined where it was closed before. */
  async #connect(failed: () => void): Promise<ClusterSession | undefined> {
    const { env, access, clock, createSession } = this.#options;
    const { signal } = this.#lifetime;
    let told: string | undefined;
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        const found = access ?? (await loadKubeAccess(env));
        if (signal.aborted) return undefined;
        return createSession(found);
      } catch (error) {
        const reason = describeError(error);
        if (reason !== told && !signal.aborted) this.#options.failed(reason);
        told = reason;
        failed();
      }
      await clock.sleep(backoffMs(failures, RETRY), signal).catch(() => {});
    }
    return undefined;
  }
}
