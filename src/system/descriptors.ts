import { closeSync, openSync, readFileSync } from 'node:fs';
import type { Clock } from './clock.ts';
import { LogLimiter } from './log/log-limiter.ts';
import type { Logger } from './log/logger.ts';

/** At most one line in so long for each kind of shortage. */
const LOG_INTERVAL_MS = 10_000;
/**
 * What is left to the proxy itself: engine, status, log, files, processes. An eighth of the limit, and as many as these at
 * least; but never more than half of a limit with which a proxy can hardly work at all.
 */
const MIN_RESERVE = 64;
/** From this part of the limit on, clients have to share. */
const CROWDED = 3 / 4;
/** And from this part of what they share on, only who has little gets any. */
const SCARCE = 0.27;

/** What the system says where it has no more sockets to give: of the process, of the machine, of the kernel's memory. */
const SHORTAGES = ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'] as const;
export type Shortage = (typeof SHORTAGES)[number];

/** The shortage that an error tells of; undefined for every other error. */
export function shortageOf(error: unknown): Shortage | undefined {
  if (error instanceof AggregateError) return error.errors.map(shortageOf).find((one) => one !== undefined);
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return SHORTAGES.find((shortage) => shortage === code);
}

/**
 * The file descriptors of the process. When they run out, libuv closes clients without telling anybody, and nothing can be
 * asked of an engine; so clients are turned away while there is a reserve. The system gives the lowest number that is
 * free: one near the limit tells how many there are.
 */
export class Descriptors {
  /** Of descriptors that clients may have, this is the first too many; Infinity where no limit is known. */
  readonly bound: number;
  /** From this one on, clients have to share what is left. */
  readonly crowded: number;
  /** From this one on, what is left is kept for who has little. */
  readonly scarce: number;
  /** What is left to the proxy itself. */
  readonly reserve: number;
  readonly limit: number;
  /** One number, in memory that the relay thread sees too: how many have been let in, and will need one more. */
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

  /** Whether one who has this descriptor, and needs one more, may stay. Undefined, where Node hides it, may. */
  hasRoomFor(fd: number | undefined): boolean {
    return fd === undefined || fd + 1 + this.#expected < this.bound;
  }

  /**
   * How full the process is, for a client that has this descriptor and needs one more, or for one that needs the next:
   * `counted` are those that are known to be taken: handing a connection to the relay thread takes high numbers, and frees
   * low ones. `crowded` where those that are left have to be shared, `full` where none is left for clients.
   */
  fillOf(client: { readonly fd: number | undefined } | 'next', counted = 0): 'free' | 'crowded' | 'full' {
    const last = this.lastFor(client, counted);
    if (last >= this.bound) return 'full';
    return last >= this.crowded ? 'crowded' : 'free';
  }

  /** The highest number that would be taken, or promised, with this client; the parameters are those of `fillOf`. */
  lastFor(client: { readonly fd: number | undefined } | 'next', counted = 0): number {
    const needed = client === 'next' ? this.#findNext() : client.fd === undefined ? 0 : client.fd + 1;
    return Math.max(needed + this.#expected, counted);
  }

  /** Whether there is so much room that clients won't have to share soon. */
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

  /** Keeps one for who has been let in and will need it; to be called back, any number of times, when it has it or won't. */
  expectOne(): () => void {
    let isExpected = true;
    Atomics.add(this.expected, 0, 1);
    return () => {
      if (isExpected) Atomics.sub(this.expected, 0, 1);
      isExpected = false;
    };
  }

  /** Says that there were too few, at most once in a while. @param what has come of it: `a client of web was closed` */
  tell(what: string, shortage: Shortage = 'EMFILE'): void {
    const suppressed = this.#limiter.pass(shortage);
    if (suppressed === undefined) return;
    const more = suppressed === 0 ? '' : ` (and ${suppressed} times before)`;
    const message = `${describeShortage(shortage, this.limit)}: ${what}${more}`;
    this.#logger.warn({ event: 'shortage', shortage }, message);
  }
}

/** What there is too little of, and how to get more. Pure. */
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

/** How many files and sockets this process may have open; undefined where the system doesn't tell (it is Linux that does). */
export function readDescriptorLimit(): number | undefined {
  try {
    const [, limit] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}
