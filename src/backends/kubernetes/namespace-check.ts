import type { Logger } from '../../system/log/logger.ts';
import { describeError } from '../../system/message-of.ts';
import { namespacePath } from './api/api-paths.ts';
import type { KubeClient } from './api/kube-client.ts';
import { KubeRefusal } from './api/kube-errors.ts';
import type { PartState } from './reachability.ts';

export interface NamespaceCheckOptions {
  readonly client: KubeClient;
  readonly logger: Logger;
  readonly namespaces: readonly string[];
  /** Whether a namespace was looked at, and nothing was found there. */
  readonly isEmpty: (namespace: string) => boolean;
  /** Undefined where the namespace exists. */
  readonly part: (part: string, state: PartState | undefined) => void;
}

/** A list of a namespace that doesn't exist is empty, and no error: this asks whether empty namespaces exist. */
export class NamespaceCheck {
  readonly #options: NamespaceCheckOptions;
  readonly #absent = new Set<string>();

  constructor(options: NamespaceCheckOptions) {
    this.#options = options;
  }

  /** Resolves when each namespace in which nothing was found has been asked for. */
  async check(signal: AbortSignal): Promise<void> {
    const { namespaces, isEmpty } = this.#options;
    await Promise.all(namespaces.filter(isEmpty).map((namespace) => this.#ask(namespace, signal)));
  }

  /** Something was found in a namespace, so it exists. */
  seen(namespace: string): void {
    if (this.#absent.delete(namespace)) this.#options.part(`namespace ${namespace}`, undefined);
  }

  async #ask(namespace: string, signal: AbortSignal): Promise<void> {
    const { client, logger, part } = this.#options;
    try {
      await client.request({ method: 'GET', path: namespacePath(namespace), signal });
      this.seen(namespace);
    } catch (error) {
      if (signal.aborted) return;
      const reason = `namespace "${namespace}" does not exist`;
      if (error instanceof KubeRefusal && error.status === 404) {
        this.#absent.add(namespace);
        return part(`namespace ${namespace}`, { kind: 'failed', reason, by: 'refusal' });
      }
      const message = `cannot ask whether namespace "${namespace}" exists: ${describeError(error)}`;
      logger.debug({ event: 'namespace-check', namespace, err: error }, message);
    }
  }
}
