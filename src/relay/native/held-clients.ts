import { EPOLLERR, EPOLLET, EPOLLHUP, EPOLLRDHUP, EpollEvents } from './epoll-events.ts';
import type { Libc } from './libc.ts';
import type { LoopPoll, LoopWatch } from './loop-poll.ts';

/** Events taken at once. */
const MAX_EVENTS = 256;

type HeldKernel = Pick<
  Libc,
  'epollCreate' | 'epollAdd' | 'epollChange' | 'epollRemove' | 'epollWait' | 'peek' | 'close'
>;

/**
 * Clients that wait unread. Node notices only by reading that a client has left, and keeps up to 64 KiB of each client for
 * that. Here the kernel keeps what a client sends, and tells only of its end.
 */
export class HeldClients {
  readonly #kernel: HeldKernel;
  readonly #poll: LoopPoll;
  readonly #events = new EpollEvents(MAX_EVENTS);
  readonly #event = new EpollEvents(1);
  readonly #byte = new Uint8Array(1);
  readonly #onLeft = new Map<number, () => void>();
  #open: { readonly epoll: number; readonly watch: LoopWatch } | undefined;
  #isClosed = false;

  constructor(kernel: HeldKernel, poll: LoopPoll) {
    this.#kernel = kernel;
    this.#poll = poll;
  }

  /**
   * Calls `onLeft`, once or more, when a client has left: its connection is broken, or it has sent its end and nothing before.
   * The caller calls the returned function before it reads, to end that. Undefined where the kernel can't watch the client.
   */
  hold(fd: number, onLeft: () => void): (() => void) | undefined {
    const epoll = this.#openEpoll();
    if (epoll === undefined) return undefined;
    this.#event.set(0, { events: EPOLLRDHUP | EPOLLET, token: fd });
    if (this.#kernel.epollAdd(epoll, fd, this.#event.bytes) < 0) return undefined;
    this.#onLeft.set(fd, onLeft);
    return () => {
      // The client was closed meanwhile, and another one may have its descriptor.
      if (this.#onLeft.get(fd) !== onLeft) return;
      this.#onLeft.delete(fd);
      this.#kernel.epollRemove(epoll, fd);
    };
  }

  /** Holds no client any more. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#onLeft.clear();
    this.#open?.watch.close();
    if (this.#open !== undefined) this.#kernel.close(this.#open.epoll);
    this.#open = undefined;
  }

  #openEpoll(): number | undefined {
    if (this.#isClosed) return undefined;
    if (this.#open !== undefined) return this.#open.epoll;
    const epoll = this.#kernel.epollCreate();
    if (epoll < 0) return undefined;
    try {
      this.#open = { epoll, watch: this.#poll.watch(epoll, { onReady: () => this.#take(epoll) }) };
      return epoll;
    } catch {
      this.#kernel.close(epoll);
      this.#isClosed = true;
      return undefined;
    }
  }

  #take(epoll: number): void {
    const count = this.#kernel.epollWait(epoll, this.#events.bytes, { max: MAX_EVENTS, timeoutMs: 0 });
    const left = [];
    for (let index = 0; index < count; index++) {
      const [fd, events] = [this.#events.token(index), this.#events.events(index)];
      const isBroken = (events & (EPOLLERR | EPOLLHUP)) !== 0;
      // A client that has sent something before its end may still want the answer.
      if (isBroken || this.#kernel.peek(fd, this.#byte) === 0) left.push(this.#onLeft.get(fd));
    }
    for (const onLeft of left) onLeft?.();
  }
}
