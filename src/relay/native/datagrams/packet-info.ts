import { ADDRESS_WORDS } from './datagram-address.ts';
import type { LibcDatagrams } from './libc-datagrams.ts';
import { type MessageLayout, putPointer } from './message-layout.ts';

/** Level and type of a `struct cmsghdr`. */
const IPPROTO_IP = 0;
const IP_PKTINFO = 8;
const IPPROTO_IPV6 = 41;
const IPV6_PKTINFO = 50;

/** Words of a `struct in6_pktinfo { addr, ifindex }` and a `struct in_pktinfo { ifindex, spec_dst, addr }`. */
const INFO6_WORDS = 5;
const INFO4_WORDS = 3;
/** Room for one control message with either, in words. */
const ROOM_WORDS = 16;

/** Memory for one control message for each datagram: it carries the datagram's local address from and to the kernel. */
export class PacketInfo {
  /** Room for the message of one datagram, in bytes. */
  readonly bytes = ROOM_WORDS * 4;
  readonly #layout: MessageLayout;
  readonly #incoming: Uint32Array<ArrayBuffer>;
  readonly #incomingAddress: bigint;
  readonly #outgoing = new Uint32Array(new ArrayBuffer(ROOM_WORDS * 4));
  /** The address of the outgoing message, as the words of a pointer. */
  readonly outgoingPointer = new Uint32Array(2);

  constructor(
    libc: LibcDatagrams,
    { layout, count }: { readonly layout: MessageLayout; readonly count: number },
  ) {
    this.#layout = layout;
    this.#incoming = new Uint32Array(new ArrayBuffer(count * this.bytes));
    this.#incomingAddress = libc.addressOf(this.#incoming.buffer);
    const address = libc.addressOf(this.#outgoing.buffer);
    putPointer(this.outgoingPointer, { at: 0, address, layout });
  }

  /** Where the kernel writes the message of the datagram in a slot. */
  addressOf(slot: number): bigint {
    return this.#incomingAddress + BigInt(slot * this.bytes);
  }

  /** Reads the local address from a message of so many bytes; writes zeros where there is none. See `PEER_WORDS`. */
  read(
    slot: number,
    { bytes, into, at }: { readonly bytes: number; readonly into: Uint32Array; readonly at: number },
  ): void {
    const { words, level, type } = this.#layout.control;
    const header = slot * ROOM_WORDS;
    const data = header + words;
    const told = this.#incoming;
    const isTold = (family: number, name: number, count: number) =>
      bytes >= (words + count) * 4 && told[header + level] === family && told[header + type] === name;
    if (isTold(IPPROTO_IPV6, IPV6_PKTINFO, INFO6_WORDS)) {
      for (let word = 0; word < 4; word++) into[at + word] = told[data + word] ?? 0;
      // Only of a link-local address: otherwise the datagrams of one client may come in by several interfaces.
      into[at + 4] = isLinkLocal(told[data] ?? 0) ? (told[data + 4] ?? 0) : 0;
      return;
    }
    into[at] = isTold(IPPROTO_IP, IP_PKTINFO, INFO4_WORDS) ? (told[data + 1] ?? 0) : 0;
    for (let word = 1; word < 5; word++) into[at + word] = 0;
  }

  /** Writes the message with the address to send from; returns its length in bytes. */
  write(peer: Uint32Array, isIpv6: boolean): number {
    const { words, level, type } = this.#layout.control;
    const out = this.#outgoing;
    const infoWords = isIpv6 ? INFO6_WORDS : INFO4_WORDS;
    out.fill(0);
    out[0] = (words + infoWords) * 4;
    out[level] = isIpv6 ? IPPROTO_IPV6 : IPPROTO_IP;
    out[type] = isIpv6 ? IPV6_PKTINFO : IP_PKTINFO;
    if (isIpv6) for (let word = 0; word < 5; word++) out[words + word] = peer[ADDRESS_WORDS + word] ?? 0;
    else out[words + 1] = peer[ADDRESS_WORDS] ?? 0;
    // CMSG_SPACE: the next message would begin at a multiple of a size_t.
    const step = this.#layout.pointerWords;
    return Math.ceil((words + infoWords) / step) * step * 4;
  }
}

/** Whether an address is in fe80::/10, by its first word as it lies in memory. */
function isLinkLocal(firstWord: number): boolean {
  return (firstWord & 0xc0ff) === 0x80fe;
}
