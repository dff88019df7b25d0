export const EPOLLIN = 0x1;
/** Urgent data is to be read. */
export const EPOLLPRI = 0x2;
export const EPOLLOUT = 0x4;
export const EPOLLERR = 0x8;
export const EPOLLHUP = 0x10;
export const EPOLLRDHUP = 0x2000;
/** Edge-triggered: one event for each change. */
export const EPOLLET = 0x8000_0000;

const WORD_BYTES = 4;

/** `struct epoll_event { uint32_t events; uint64_t data; }` in words of 32 bits; packed on x86-64 alone. */
interface Layout {
  readonly wordsPerEvent: number;
  readonly dataWord: number;
}

const PACKED: Layout = { wordsPerEvent: 3, dataWord: 1 };
const ALIGNED: Layout = { wordsPerEvent: 4, dataWord: 2 };

/**
 * Room for the events of one `epoll_wait`, or for the one event that `epoll_ctl` takes. Each event carries a token of 32
 * bits, which tells whose it is (the lower half of `data`, on little-endian machines).
 */
export class EpollEvents {
  /** What the kernel reads or writes. */
  readonly bytes: Uint8Array;
  readonly size: number;
  readonly #words: Uint32Array;
  readonly #layout: Layout;

  constructor(size: number, architecture: NodeJS.Architecture = process.arch) {
    this.#layout = architecture === 'x64' ? PACKED : ALIGNED;
    this.#words = new Uint32Array(size * this.#layout.wordsPerEvent);
    this.size = size;
    this.bytes = new Uint8Array(this.#words.buffer, 0, this.#words.length * WORD_BYTES);
  }

  set(index: number, { events, token }: { readonly events: number; readonly token: number }): void {
    const start = index * this.#layout.wordsPerEvent;
    this.#words[start] = events;
    this.#words[start + this.#layout.dataWord] = token;
  }

  events(index: number): number {
    return this.#words[index * this.#layout.wordsPerEvent] ?? 0;
  }

  token(index: number): number {
    return this.#words[index * this.#layout.wordsPerEvent + this.#layout.dataWord] ?? 0;
  }
}
