import type { Backend, OutputRequest } from '../../../backends/backend.ts';
import type { Workload } from '../../../model/workload.ts';
import type { Clock } from '../../../system/clock.ts';
import type { Logger } from '../../../system/log/logger.ts';
import { messageOf } from '../../../system/message-of.ts';

/** How many lines are kept and logged after a failed start. */
const MAX_LINES = 20;
/** A start may fail for every client that comes. Within this time, the lines are not logged again. */
const LOG_INTERVAL_MS = 10_000;
/** And within this time they are not read again: starts that fail faster have the same lines. */
const READ_INTERVAL_MS = 250;

/** What was read; undefined where nobody wants to know it any more. */
type Read = { readonly lines: readonly string[] } | { readonly problem: string } | undefined;

/**
 * What a workload had printed last when its start failed: goes to the log, and is kept until a start works. It may hold
 * secrets, so nothing that is open to everybody shows it. `close()` ends it.
 */
export class LastOutput {
  readonly #backend: Backend;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #closed = new AbortController();
  #lines: readonly string[] = [];
  #reading: { readonly atMs: number; readonly result: Promise<Read> } | undefined;
  #loggedAtMs: number | undefined;
  /** How often it was told that a start has worked. */
  #forgotten = 0;

  constructor(options: { readonly backend: Backend; readonly clock: Clock; readonly logger: Logger }) {
    this.#backend = options.backend;
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  /** At most 20, oldest first. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** A start has worked: what was printed before is no longer of interest. */
  forget(): void {
    this.#lines = [];
    this.#reading = this.#loggedAtMs = undefined;
    this.#forgotten++;
  }

  /**
   * Reads the lines and keeps them; logs them, unless that was done a moment ago. Never rejects.
   * @param options.of what failed; where its check printed nothing, the workload's own lines count.
   */
  read(
    workload: Workload,
    options: { readonly service: string; readonly of: OutputRequest['of'] },
  ): Promise<Read> {
    const atMs = this.#clock.monotonicMs();
    if (this.#reading !== undefined && atMs - this.#reading.atMs < READ_INTERVAL_MS)
      return this.#reading.result;
    const result = this.#readNow(workload, options);
    this.#reading = { atMs, result };
    return result;
  }

  async #readNow(
    workload: Workload,
    { service, of }: { readonly service: string; readonly of: OutputRequest['of'] },
  ): Promise<Read> {
    const forgotten = this.#forgotten;
    try {
      const lines = await this.#readFirst(workload, of === 'check' ? ['check', 'workload'] : ['workload']);
      // Another start may have worked meanwhile.
      if (this.#closed.signal.aborted || this.#forgotten !== forgotten) return undefined;
      this.#lines = lines;
      const nowMs = this.#clock.monotonicMs();
      if (this.#loggedAtMs !== undefined && nowMs - this.#loggedAtMs < LOG_INTERVAL_MS) return { lines };
      this.#loggedAtMs = nowMs;
      // The backend has logged each line as it came.
      if (this.#backend.logsOutput === true && this.#logger.shows?.('info') !== false) return { lines };
      for (const line of lines) {
        this.#logger.warn({ event: 'last-output', service }, `${service} | ${line}`);
      }
      return { lines };
    } catch (error) {
      if (this.#closed.signal.aborted || this.#forgotten !== forgotten) return undefined;
      const problem = messageOf(error);
      const message = `${service}: its last output can't be read: ${problem}`;
      this.#logger.debug({ event: 'last-output', service }, message);
      return { problem };
    }
  }

  /** Ends a reading under way. Idempotent. */
  close(): void {
    this.#closed.abort(new Error('the proxy lets go of the workload'));
  }

  async #readFirst(workload: Workload, sources: readonly OutputRequest['of'][]): Promise<readonly string[]> {
    for (const of of sources) {
      const request = { of, lines: MAX_LINES, signal: this.#closed.signal };
      const lines = await this.#backend.readOutput?.(workload, request);
      if (lines !== undefined && lines.length > 0) return lines;
    }
    return [];
  }
}
