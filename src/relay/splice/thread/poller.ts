import { EpollEvents } from '../../native/epoll-events.ts';
import { EEXIST, EINTR } from '../../native/errno.ts';
import type { Libc } from '../../native/libc.ts';

/** Events taken at once. */
const MAX_EVENTS = 256;

type PollerKernel = Pick<
  Libc,
  'epollAdd' | 'epollChange' | 'epollRemove' | 'epollWait' | 'close' | 'closeWithReset'
>;

/**
 * Waits for events of many descriptors; each is known by a token of 32 bits. Every socket of the thread is closed here,
 * because closing one does not always end its events. A listening socket that goes back to the main thread stays open
 * there, so the kernel would go on reporting its clients, under a token that another socket may have by then.
 */
export class Poller {
  readonly #libc: PollerKernel;
  readonly #epoll: number;
  readonly #onRefused: (errno: number) => void;
  readonly #events = new EpollEvents(MAX_EVENTS);
  readonly #event = new EpollEvents(1);

  /** @param options.onRefused called where the kernel refuses to watch a descriptor, with the positive errno. */
  constructor(
    libc: PollerKernel,
    { epoll, onRefused }: { readonly epoll: number; readonly onRefused: (errno: number) => void },
  ) {
    this.#libc = libc;
    this.#epoll = epoll;
    this.#onRefused = onRefused;
  }

  /**
   * Watches a descriptor until it is closed or unwatched; one that is watched already gets the new token. Returns whether the
   * kernel agrees.
   */
  watch(fd: number, event: { readonly events: number; readonly token: number }): boolean {
    this.#event.set(0, event);
    let status = this.#libc.epollAdd(this.#epoll, fd, this.#event.bytes);
    if (status === -EEXIST) status = this.#libc.epollChange(this.#epoll, fd, this.#event.bytes);
    if (status < 0) this.#onRefused(-status);
    return status === 0;
  }

  /** Watches a descriptor no longer; it stays open and belongs to somebody else. */
  unwatch(fd: number): void {
    this.#libc.epollRemove(this.#epoll, fd);
  }

  /** Closes a descriptor, watched or not; `reset` sends RST instead of FIN. */
  close(fd: number, how: 'orderly' | 'reset'): void {
    this.unwatch(fd);
    if (how === 'orderly') this.#libc.close(fd);
    else this.#libc.closeWithReset(fd);
  }

  /**
   * Waits for events, at most `timeoutMs` (-1 = for ever), and passes each to `take`.
   * @throws where the kernel refuses to wait.
   */
  wait(timeoutMs: number, take: (token: number, events: number) => void): void {
    const events = this.#events;
    const count = this.#libc.epollWait(this.#epoll, events.bytes, { max: MAX_EVENTS, timeoutMs });
    if (count < 0 && count !== -EINTR) throw new Error(`epoll_wait failed with errno ${-count}`);
    for (let index = 0; index < count; index++) take(events.token(index), events.events(index));
  }
}
