import type { Cancel, Clock } from '../../../system/clock.ts';
import { linkSignals } from '../../../system/link-signals.ts';
import { CALL_DEADLINES_MS } from './call-deadlines.ts';
import { KubeUnreachable } from './kube-errors.ts';

/** How long the API server may keep silent before its answer, and within it. */
const ANSWER_TIMEOUT_MS = CALL_DEADLINES_MS.answer;

/**
 * A signal that aborts with `parent`, or with {@link KubeUnreachable} after too long a silence. A long list may take
 * its time as long as it keeps coming. Whoever creates it ends it.
 */
export class AnswerDeadline {
  readonly #clock: Clock;
  readonly #server: string;
  readonly #expired = new AbortController();
  readonly #linked: ReturnType<typeof linkSignals>;
  #cancel: Cancel = () => {};

  constructor(options: { readonly clock: Clock; readonly server: string; readonly parent: AbortSignal }) {
    this.#clock = options.clock;
    this.#server = options.server;
    this.#linked = linkSignals([options.parent, this.#expired.signal]);
    this.heard();
  }

  get signal(): AbortSignal {
    return this.#linked.signal;
  }

  /** Something came: the time begins anew. */
  heard(): void {
    this.#cancel();
    this.#cancel = this.#clock.schedule(ANSWER_TIMEOUT_MS, () => {
      const message = `no answer from ${this.#server} within ${ANSWER_TIMEOUT_MS / 1000} s`;
      this.#expired.abort(new KubeUnreachable(message));
    });
  }

  /** From now on only the parent aborts. */
  stop(): void {
    this.#cancel();
  }

  /** From now on nothing aborts. */
  end(): void {
    this.#cancel();
    this.#linked.unlink();
  }
}
