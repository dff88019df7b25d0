import { closeSync, openSync, readFileSync } from 'node:fs';
import type { Clock } from './clock.ts';
import { LogLimiter } from './log/log-limiter.ts';
import type { Logger } from './log/logger.ts';

/** At most one line in so long for each kind of shortage. */
const LOG_INTERVAL_MS = 10_000;
/**
 * What the proxy keeps for itself: engine, status, log, files, processes. It keeps an eighth of the limit, but at least so
 * many, and never more than half of a very low limit.
 */
const MIN_RESERVE = 64;
/** From this part of the limit on, clients have to share. */
const CROWDED = 3 / 4;
/** From this part of those on that clients share, only who holds little gets one. */
const SCARCE = 0.27;

/** The errors with which the system has no more sockets: those of the process, those of the machine, the kernel's memory. */
const SHORTAGES = ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'] as const;
export type Shortage = (typeof SHORTAGES)[number];

/** The shortage that an error is about; undefined for every other error. */
export function shortageOf(error: unknown): Shortage | undefined {
  if (error instanceof AggregateError) return error.errors.map(shortageOf).find((one) => one !== undefined);
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return SHORTAGES.find((shortage) => shortage === code);
}

/**
 * The file descriptors of the process. When they run out, libuv closes clients without a word, and the engine can't be asked
 * any more. So clients are turned away while there is still a reserve. The system always gives the lowest number that is
 * free, so a new descriptor tells how many are taken.
 */
export class Descriptors {
  /** Clients may have descriptors below this one; Infinity where no limit is known. */
  readonly bound: number;
  /** From this one on, clients have to share what is left. */
  readonly crowded: number;
  /** From this one on, what is left is kept for clients of services that hold little. */
  readonly scarce: number;
  /** How many the proxy keeps for itself. */
  readonly reserve: number;
  readonly limit: number;
  /** One number, shared with the relay thread: how many clients were let in and still need one more descriptor. */
  readonly expected = new Int32Array(new SharedArrayBuffer(4));
  readonly #limiter: LogLimiter;
  readonly #logger: Logger;

  constructor({
    limit,
    clock,
    logger,
  }: { readonly limit: number; readonly clock: Clock; readonly logger: Logger }) {
    this.limit = limit;
    this.reserve = Math.min(Math.floor(limit / 2), Math.max(MIN_RESERVE, Math.floor(limit / 8)));
    this.bound = Number.isFinite(limit) ? limit - this.reserve : limit;
    this.crowded = Math.min(this.bound, Math.floor(limit * CROWDED));
    const shared = Number.isFinite(limit) ? this.bound - this.crowded : 0;
    this.scarce = this.crowded + Math.floor(shared * SCARCE);
    this.#limiter = new LogLimiter(clock, LOG_INTERVAL_MS);
    this.#logger = logger;
  }

  /** Whether a client that has this descriptor, and needs one more, may stay; true where Node hides the descriptor. */
  hasRoomFor(fd: number | undefined): boolean {
    return fd === undefined || fd + 1 + this.#expected < this.bound;
  }

  /**
   * How many descriptors would be taken or promised with one more client.
   * @param client one that has this descriptor and needs another one, or one that needs the next.
   * @param counted how many are known to be taken. Numbers alone don't tell: a connection that is handed to the relay thread
   * takes high ones and frees low ones.
   */
  lastFor(client: { readonly fd: number | undefined } | 'next', counted = 0): number {
    const needed = client === 'next' ? this.#findNext() : client.fd === undefined ? 0 : client.fd + 1;
    return Math.max(needed + this.#expected, counted);
  }

  /** Whether less than half of the descriptors are taken, so that clients won't have to share soon. */
  get isRoomy(): boolean {
    return this.#findNext() < this.limit / 2;
  }

  /** The lowest number that is free. */
  #findNext(): number {
    if (!Number.isFinite(this.limit)) return 0;
    try {
      const fd = openSync('/dev/null', 'r');
      closeSync(fd);
      return fd;
    } catch {
      return this.limit;
    }
  }

  get #expected(): number {
    return Atomics.load(this.expected, 0);
  }

  /**
   * Keeps one descriptor for a client that was let in. The caller calls the returned function when the client has it, or needs
   * none any more; further calls do nothing.
   */
  expectOne(): () => void {
    let isExpected = true;
    Atomics.add(this.expected, 0, 1);
    return () => {
      if (isExpected) Atomics.sub(this.expected, 0, 1);
      isExpected = false;
    };
  }

  /** Logs a shortage, at most once in 10 s for each kind. @param what came of it, such as `a client of web was closed` */
  tell(what: string, shortage: Shortage = 'EMFILE'): void {
    const suppressed = this.#limiter.pass(shortage);
    if (suppressed === undefined) return;
    const more = suppressed === 0 ? '' : ` (and ${suppressed} times before)`;
    const message = `${describeShortage(shortage, this.limit)}: ${what}${more}`;
    this.#logger.warn({ event: 'shortage', shortage }, message);
  }
}

/** Says what is short, and how to get more of it. Pure. */
export function describeShortage(shortage: Shortage, limit: number): string {
  switch (shortage) {
    case 'EMFILE':
      return `too few file descriptors; the limit is ${limit}, raise it (ulimit -n, LimitNOFILE= in systemd, ulimits: nofile in Compose)`;
    case 'ENFILE':
      return 'the machine has no file descriptors left; raise fs.file-max (sysctl)';
    case 'ENOBUFS':
    case 'ENOMEM':
      return `the kernel has no memory left for sockets (${shortage})`;
  }
}

/** How many files and sockets this process may have open; undefined where the system doesn't tell, as only Linux does. */
export function readDescriptorLimit(): number | undefined {
  try {
    const [, limit] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}
