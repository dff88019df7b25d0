import type { Socket } from 'node:net';
import { addressGroup } from '../../../model/address-group.ts';

/** Each takes some tens of KiB, and the processor. */
const MAX_HANDSHAKES = 512;
const MAX_OF_ADDRESS = 64;

/**
 * The clients of a door that have not agreed on TLS yet. One that means it is soon done, so where there are too many, the one that has
 * taken longest makes room; an address that has too many of them gets no more.
 */
export class Handshakes {
  /** By connection, the oldest first: the network that it counts for. */
  readonly #groups = new Map<Socket, string>();
  readonly #counts = new Map<string, number>();

  /**
   * A client begins.
   * @param options.isTrusted whether it is a proxy, which stands for many.
   * @returns whether it may; and the connection that makes room for it, to be closed by the caller.
   */
  begin(
    socket: Socket,
    { address, isTrusted }: { readonly address: string; readonly isTrusted: boolean },
  ): { readonly mayBegin: boolean; readonly evicted?: Socket | undefined } {
    const group = addressGroup(address);
    const count = this.#counts.get(group) ?? 0;
    if (count >= MAX_OF_ADDRESS && !isTrusted) return { mayBegin: false };
    const [oldest] = this.#groups.keys();
    const evicted = this.#groups.size >= MAX_HANDSHAKES ? oldest : undefined;
    if (evicted !== undefined) this.end(evicted);
    this.#groups.set(socket, group);
    this.#counts.set(group, (this.#counts.get(group) ?? 0) + 1);
    return { mayBegin: true, evicted };
  }

  /** It has agreed, is somebody else's, or has gone. Idempotent. */
  end(socket: Socket): void {
    const group = this.#groups.get(socket);
    if (group === undefined) return;
    this.#groups.delete(socket);
    const count = (this.#counts.get(group) ?? 0) - 1;
    if (count > 0) this.#counts.set(group, count);
    else this.#counts.delete(group);
  }
}
