import { EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLRDHUP, EpollEvents } from './epoll-events.ts';
import type { Libc } from './libc.ts';
import type { LoopPoll, LoopWatch } from './loop-poll.ts';

/** Events taken at once. */
const MAX_EVENTS = 256;

type HeldKernel = Pick<
  Libc,
  'epollCreate' | 'epollAdd' | 'epollChange' | 'epollRemove' | 'epollWait' | 'peek' | 'close'
>;

/** What is told of a client that is held, each once or more. */
export interface HeldClientWatcher {
  /** It has left: its connection is broken, or it has sent its end and nothing before. */
  readonly onLeft: () => void;
  /** It has sent something. */
  readonly onBytes?: (() => void) | undefined;
}

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
  readonly #watchers = new Map<number, HeldClientWatcher>();
  #open: { readonly epoll: number; readonly watch: LoopWatch } | undefined;
  #isClosed = false;

  constructor(kernel: HeldKernel, poll: LoopPoll) {
    this.#kernel = kernel;
    this.#poll = poll;
  }

  /**
   * Watches a client. The caller calls the returned function before it reads, to end that. Undefined where the kernel can't watch
   * the client.
   */
  hold(fd: number, watcher: HeldClientWatcher): (() => void) | undefined {
    const epoll = this.#openEpoll();
    if (epoll === undefined) return undefined;
    const events = watcher.onBytes === undefined ? EPOLLRDHUP | EPOLLET : EPOLLIN | EPOLLRDHUP | EPOLLET;
    this.#event.set(0, { events, token: fd });
    if (this.#kernel.epollAdd(epoll, fd, this.#event.bytes) < 0) return undefined;
    this.#watchers.set(fd, watcher);
    return () => {
      // The client was closed meanwhile, and another one may have its descriptor.
      if (this.#watchers.get(fd) !== watcher) return;
      this.#watchers.delete(fd);
      this.#kernel.epollRemove(epoll, fd);
    };
  }

  /** Holds no client any more. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#watchers.clear();
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
    const calls = [];
    for (let index = 0; index < count; index++) {
      const [fd, events] = [this.#events.token(index), this.#events.events(index)];
      const isBroken = (events & (EPOLLERR | EPOLLHUP)) !== 0;
      const watcher = this.#watchers.get(fd);
      // A client that has sent something before its end may still want the answer.
      const hasLeft = isBroken || this.#kernel.peek(fd, this.#byte) === 0;
      calls.push(hasLeft ? watcher?.onLeft : watcher?.onBytes);
    }
    for (const call of calls) call?.();
  }
}
