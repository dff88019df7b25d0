/**
 * Where the members of the C structures of `recvmmsg(2)` and `sendmmsg(2)` lie, in words of 32 bits. The layout is the same
 * on every little-endian Linux with pointers of one size, with glibc and with musl.
 */
export interface MessageLayout {
  /** Words of a pointer, and of a `size_t`. */
  readonly pointerWords: 1 | 2;
  /** `struct iovec` */
  readonly iovec: { readonly words: number; readonly base: number; readonly length: number };
  /** `struct mmsghdr`: a `struct msghdr`, then the length of the datagram that was received. */
  readonly message: {
    readonly words: number;
    readonly name: number;
    readonly nameLength: number;
    readonly iovec: number;
    readonly iovecCount: number;
    readonly control: number;
    readonly controlLength: number;
    readonly length: number;
  };
  /** `struct cmsghdr`: `words` counts those before the data. The length in it counts them too, in bytes. */
  readonly control: { readonly words: number; readonly level: number; readonly type: number };
}

const LAYOUT_32: MessageLayout = {
  pointerWords: 1,
  iovec: { words: 2, base: 0, length: 1 },
  message: {
    words: 8,
    name: 0,
    nameLength: 1,
    iovec: 2,
    iovecCount: 3,
    control: 4,
    controlLength: 5,
    length: 7,
  },
  control: { words: 3, level: 1, type: 2 },
};

const LAYOUT_64: MessageLayout = {
  pointerWords: 2,
  iovec: { words: 4, base: 0, length: 2 },
  message: {
    ...{ words: 16, name: 0, nameLength: 2, iovec: 4, iovecCount: 6 },
    ...{ control: 8, controlLength: 10, length: 14 },
  },
  control: { words: 4, level: 2, type: 3 },
};

/** @throws where there is no such layout. */
export function layoutFor(pointerBytes: number): MessageLayout {
  if (pointerBytes === 8) return LAYOUT_64;
  if (pointerBytes === 4) return LAYOUT_32;
  throw new Error(`pointers of ${pointerBytes} bytes are unknown`);
}

/** Writes a pointer as the C library reads it. */
export function putPointer(
  words: Uint32Array,
  { at, address, layout }: { readonly at: number; readonly address: bigint; readonly layout: MessageLayout },
): void {
  words[at] = Number(address & 0xffff_ffffn);
  if (layout.pointerWords === 2) words[at + 1] = Number(address >> 32n);
}
