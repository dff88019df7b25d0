import { backoffMs } from '../system/waiting/backoff.ts';
import type { Cancel, Clock } from '../system/clock.ts';
import type { Logger } from '../system/log/logger.ts';
import { describeBindError } from '../system/net/bind-error.ts';

/** Delay between tries to bind a port that somebody else holds. */
const BIND_RETRY = { firstMs: 250, maxMs: 5_000 } as const;

interface PortBinderOptions {
  /** Tries once. @throws the bind error, with its `code`. */
  readonly open: () => Promise<void>;
  /** For the log: `*:80/tcp`. */
  readonly where: string;
  /** For the log: who listens there now, and for which service where it is one's. */
  readonly owner: () => { readonly name: string; readonly service?: string };
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told after each try whether it was bound. */
  readonly onTried: () => void;
}

/** Binds one port: while it can't be bound, that is reported, and tried again until it can. `cancel()` ends it. */
export class PortBinder {
  readonly #options: PortBinderOptions;
  #condition: 'pending' | 'bound' | 'failed' = 'pending';
  #error: string | undefined;
  #failures = 0;
  #retry: Cancel | undefined;
  #isCancelled = false;

  constructor(options: PortBinderOptions) {
    this.#options = options;
  }

  /** `pending` until the first try has ended. */
  get condition(): 'pending' | 'bound' | 'failed' {
    return this.#condition;
  }

  /** Why it is not bound. */
  get error(): string | undefined {
    return this.#error;
  }

  /** How many tries in a row have failed. */
  get failures(): number {
    return this.#failures;
  }

  /** Resolves when the first try has ended. */
  async start(): Promise<void> {
    const { open, onTried } = this.#options;
    try {
      await open();
      if (this.#isCancelled) return;
      this.#succeeded();
    } catch (error) {
      if (this.#isCancelled) return;
      this.#failed(error as NodeJS.ErrnoException);
    }
    onTried();
  }

  /** Tries no more. Idempotent. */
  cancel(): void {
    this.#isCancelled = true;
    this.#retry?.();
  }

  #succeeded(): void {
    const { where, owner, logger } = this.#options;
    const { name, service } = owner();
    const fields = { event: 'listening', ...(service !== undefined && { service }) };
    if (this.#failures > 0) logger.info(fields, `${name}: ${where} is free again`);
    logger.debug(fields, `${name} listens on ${where}`);
    this.#failures = 0;
    this.#error = undefined;
    this.#condition = 'bound';
  }

  #failed(error: NodeJS.ErrnoException): void {
    const { where, owner, logger, clock } = this.#options;
    const { name, service } = owner();
    this.#failures++;
    this.#error = describeBindError(error);
    this.#condition = 'failed';
    const message = `${name} can't listen on ${where}: ${this.#error}; trying again until it can`;
    const fields = { event: 'listen-failed', ...(service !== undefined && { service }) };
    logger[this.#failures === 1 ? 'error' : 'debug'](fields, message);
    this.#retry = clock.schedule(backoffMs(this.#failures, BIND_RETRY), () => void this.start());
  }
}
