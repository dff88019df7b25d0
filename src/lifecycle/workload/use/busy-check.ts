import type { Backend } from '../../../backends/backend.ts';
import type { Observation } from '../../../model/running/observation.ts';
import type { Clock } from '../../../system/clock.ts';
import { linkSignals } from '../../../system/waiting/link-signals.ts';
import type { Logger } from '../../../system/log/logger.ts';
import { messageOf } from '../../../system/message-of.ts';
import type { CheckTarget, HttpTarget } from '../../../system/net/http-client.ts';
import { askStatus } from '../../run/http-check.ts';
import type { OwnPlaces } from '../../run/workload-run.ts';
import type { WorkloadPolicy } from '../workload-policy.ts';

/** How long an answer may take, ms. */
const DEADLINE_MS = 5_000;
/** Between two questions to a workload that is busy, at least, ms. */
const LEAST_GAP_MS = 30_000;
/** So many questions in a row without an answer count as `not busy`. */
const MAX_FAILURES = 3;

interface Options {
  readonly backend: Pick<Backend, 'runCommand'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly own?: OwnPlaces | undefined;
  readonly checkLabelUrl?: CheckTarget | undefined;
  /** The workload, as it is now. */
  readonly subject: { readonly policy: WorkloadPolicy; readonly observation: Observation };
}

/**
 * Asks a workload that nobody uses whether it is busy all the same. Whoever puts it to sleep for being idle, or to make room, asks
 * first, and looks again afterwards whether anybody uses it by then. `close()` ends it.
 */
export class BusyCheck {
  readonly #options: Options;
  readonly #closed = new AbortController();
  #asking: Promise<boolean> | undefined;
  #failures = 0;
  #failure: string | undefined;
  #busySinceMs: number | undefined;
  #nextMs = 0;
  #freeMs = Number.NEGATIVE_INFINITY;

  constructor(options: Options) {
    this.#options = options;
  }

  /** Whether there is anything to ask. */
  get isNeeded(): boolean {
    const { backend, subject } = this.#options;
    const { busyCheck } = subject.policy.rest;
    return busyCheck?.kind === 'url' || (busyCheck !== undefined && backend.runCommand !== undefined);
  }

  get isAsking(): boolean {
    return this.#asking !== undefined;
  }

  /** Since when it has said that it is busy, on the monotonic clock; undefined where its last answer was another one. */
  get busySinceMs(): number | undefined {
    return this.#busySinceMs;
  }

  /** Why it has not answered, where that has happened so often that it counts as not busy. */
  get failure(): string | undefined {
    return this.#failures >= MAX_FAILURES ? this.#failure : undefined;
  }

  /** When it is to be asked again, on the monotonic clock; in the past where it was not busy. */
  get nextMs(): number {
    return this.#nextMs;
  }

  /** It has said just now that it is not busy: that need not be asked twice. */
  get isFree(): boolean {
    return this.#options.clock.monotonicMs() - this.#freeMs < 1_000;
  }

  /** It is used, or asleep: what it has said counts no more. */
  forget(): void {
    this.#busySinceMs = undefined;
    this.#nextMs = 0;
    this.#freeMs = Number.NEGATIVE_INFINITY;
  }

  /** Whether it is busy. Two who ask at once get the same answer, within 5 s. Never rejects. */
  ask(): Promise<boolean> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /** Gives up what is being asked. Idempotent. */
  close(): void {
    this.#closed.abort(new Error('nobody wants to know any more'));
  }

  async #ask(): Promise<boolean> {
    const { clock, logger, subject } = this.#options;
    const { name, idleTimeoutMs } = subject.policy;
    const late = new AbortController();
    const { signal, unlink } = linkSignals([this.#closed.signal, late.signal]);
    const cancel = clock.schedule(DEADLINE_MS, () =>
      late.abort(new Error(`no answer within ${DEADLINE_MS / 1_000} s`)),
    );
    let isBusy: boolean;
    try {
      isBusy = await this.#answer(signal);
      this.#failures = 0;
      this.#failure = undefined;
    } catch (error) {
      this.#failures++;
      this.#failure = messageOf(signal.aborted ? signal.reason : error);
      isBusy = this.#failures < MAX_FAILURES;
      if (this.#failures === MAX_FAILURES && !this.#closed.signal.aborted) {
        const message = `${name} counts as not busy: its busy_check has failed ${MAX_FAILURES} times in a row: ${this.#failure}`;
        logger.warn({ event: 'busy-check', service: name }, message);
      }
    } finally {
      cancel();
      unlink();
    }
    const nowMs = clock.monotonicMs();
    if (!isBusy) {
      this.forget();
      this.#freeMs = nowMs;
      return false;
    }
    this.#nextMs = nowMs + Math.max(LEAST_GAP_MS, idleTimeoutMs);
    if (this.#busySinceMs === undefined)
      logger.info(
        { event: 'busy', service: name },
        `${name} is not put to sleep: it is busy${this.#because()}`,
      );
    this.#busySinceMs ??= nowMs;
    return true;
  }

  #because(): string {
    return this.#failure === undefined ? ', says its busy_check' : `, as far as is known: ${this.#failure}`;
  }

  async #answer(signal: AbortSignal): Promise<boolean> {
    const { backend, clock, subject, own, checkLabelUrl } = this.#options;
    const { policy, observation } = subject;
    const { busyCheck: check } = policy.rest;
    if (check === undefined) return false;
    if (check.kind === 'command') {
      const status = (await backend.runCommand?.(policy.workload, { command: check.command, signal })) ?? 1;
      // As shells say it.
      if (status === 126 || status === 127)
        throw new Error(`exit code ${status}: the command could not be run`);
      return status === 0;
    }
    const isOwn = ({ address, port }: HttpTarget) =>
      own?.explainOwnOf(policy.services, { host: address, port });
    const status = await askStatus(check.url, {
      ...{ hosts: observation.hosts, clock, signal, deadlineMs: DEADLINE_MS, checkUrl: isOwn, checkLabelUrl },
    });
    return status >= 200 && status <= 299;
  }
}
