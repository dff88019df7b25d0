import { backoffMs } from '../../system/waiting/backoff.ts';
import type { Cancel, Clock } from '../../system/clock.ts';

const FIRST_MS = 100;

interface Poll {
  maxMs: number;
  looks: number;
  cancel: Cancel;
}

/**
 * Looks at workloads again and again while they change, where no event tells when the change is complete. It leaves all
 * others alone. Owns timers: `close()`.
 */
export class LookPoller {
  readonly #clock: Clock;
  readonly #look: (name: string) => Promise<void>;
  readonly #polls = new Map<string, Poll>();

  constructor(options: { readonly clock: Clock; readonly look: (name: string) => Promise<void> }) {
    this.#clock = options.clock;
    this.#look = options.look;
  }

  /** Looks in 100 ms, then ever more seldom, at last every `maxMs`; one that is followed already goes on. */
  follow(name: string, maxMs: number): void {
    const poll = this.#polls.get(name);
    if (poll === undefined) {
      const begun: Poll = { maxMs, looks: 0, cancel: () => {} };
      this.#polls.set(name, begun);
      this.#arm(name, begun);
    } else if (poll.maxMs !== maxMs) {
      poll.maxMs = maxMs;
      poll.looks = 0;
    }
  }

  /** An event has named the workload: the next look comes soon. */
  hasten(name: string): void {
    const poll = this.#polls.get(name);
    if (poll === undefined) return;
    poll.cancel();
    poll.looks = 0;
    this.#arm(name, poll);
  }

  forget(name: string): void {
    this.#polls.get(name)?.cancel();
    this.#polls.delete(name);
  }

  /** Forgets all. */
  close(): void {
    for (const name of [...this.#polls.keys()]) this.forget(name);
  }

  #arm(name: string, poll: Poll): void {
    poll.looks += 1;
    const delayMs = backoffMs(poll.looks, { firstMs: FIRST_MS, maxMs: poll.maxMs });
    poll.cancel = this.#clock.schedule(delayMs, () => {
      void this.#look(name).finally(() => {
        if (this.#polls.get(name) === poll) this.#arm(name, poll);
      });
    });
  }
}
