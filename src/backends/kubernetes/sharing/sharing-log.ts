import type { Logger } from '../../../system/log/logger.ts';
import { describeError } from '../../../system/message-of.ts';
import { isPassing } from '../api/kube-errors.ts';
import { isConflict } from './lease-api.ts';

/** The log lines about how replicas share workloads; a fault that lasts is logged once. */
export class SharingLog {
  readonly #logger: Logger;
  readonly #told = new Set<string>();
  #sleeper: string | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** @param consequence what follows from it. */
  failed(error: unknown, consequence: string): void {
    const message = `cannot share workloads with other replicas of the proxy: ${describeError(error)}; ${consequence}`;
    if (isPassing(error) || isConflict(error)) return this.#logger.debug({ event: 'sharing' }, message);
    if (this.#told.has(message)) return;
    this.#told.add(message);
    this.#logger.error({ event: 'sharing', refused: true }, message);
  }

  /** Another replica is the one that puts workloads to sleep. */
  standsBy(sleeper: string): void {
    if (this.#sleeper === sleeper) return;
    this.#sleeper = sleeper;
    const message = `${sleeper} puts workloads to sleep, this replica of the proxy stands by`;
    this.#logger.info({ event: 'sharing', sleeper }, message);
  }

  becameSleeper(identity: string): void {
    this.#sleeper = identity;
    const message = `this replica of the proxy, ${identity}, puts workloads to sleep from now on`;
    this.#logger.info({ event: 'sharing', sleeper: identity }, message);
  }

  steppedDown(reason: string): void {
    this.#sleeper = undefined;
    const message = `this replica of the proxy no longer puts workloads to sleep: ${reason}`;
    this.#logger.warn({ event: 'sharing' }, message);
  }
}
