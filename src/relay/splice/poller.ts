import { EpollEvents } from '../native/epoll-events.ts';
import { EINTR } from '../native/errno.ts';
import type { Libc } from '../native/libc.ts';

/** Events taken at once. */
const MAX_EVENTS = 256;

/** Waits for events of many descriptors; each is known by a token of 32 bits. */
export class Poller {
  readonly #libc: Pick<Libc, 'epollAdd' | 'epollRemove' | 'epollWait'>;
  readonly #epoll: number;
  readonly #events = new EpollEvents(MAX_EVENTS);
  readonly #event = new EpollEvents(1);

  constructor(libc: Pick<Libc, 'epollAdd' | 'epollRemove' | 'epollWait'>, epoll: number) {
    this.#libc = libc;
    this.#epoll = epoll;
  }

  /** Whether the kernel agrees to tell of the descriptor from now on, until it is closed or unwatched. */
  watch(fd: number, event: { readonly events: number; readonly token: number }): boolean {
    this.#event.set(0, event);
    return this.#libc.epollAdd(this.#epoll, fd, this.#event.bytes) === 0;
  }

  unwatch(fd: number): void {
    this.#libc.epollRemove(this.#epoll, fd);
  }

  /**
   * Waits for up to `timeoutMs` (-1 = for ever), and tells what came.
   * @throws where the kernel refuses to wait.
   */
  wait(timeoutMs: number, take: (token: number, events: number) => void): void {
    const events = this.#events;
    const count = this.#libc.epollWait(this.#epoll, events.bytes, { max: MAX_EVENTS, timeoutMs });
    if (count < 0 && count !== -EINTR) throw new Error(`epoll_wait failed with errno ${-count}`);
    for (let index = 0; index < count; index++) take(events.token(index), events.events(index));
  }
}
