import { PEER_WORDS } from './datagram-address.ts';

interface Entry<Value> {
  readonly words: Uint32Array;
  readonly value: Value;
  /** The next one with the same hash. */
  next: Entry<Value> | undefined;
}

/** Values by peer (see `PEER_WORDS`) in the kernel's own form, so that no look-up makes a string. */
export class AddressIndex<Value> {
  readonly #seed: number;
  readonly #entries = new Map<number, Entry<Value>>();

  /** @param seed random, so that nobody can choose addresses that collide. */
  constructor(seed: number) {
    this.#seed = seed | 0;
  }

  /** Finds the value of the address whose words begin at `at`. */
  get(words: Uint32Array, at: number): Value | undefined {
    let entry = this.#entries.get(this.#hash(words, at));
    while (entry !== undefined && !isEqual(entry.words, words, at)) entry = entry.next;
    return entry?.value;
  }

  /** Sets the value of an address. `words` is kept and must not change. */
  set(words: Uint32Array, value: Value): void {
    this.delete(words);
    const hash = this.#hash(words, 0);
    this.#entries.set(hash, { words, value, next: this.#entries.get(hash) });
  }

  delete(words: Uint32Array): void {
    const hash = this.#hash(words, 0);
    let before: Entry<Value> | undefined;
    let entry = this.#entries.get(hash);
    while (entry !== undefined && !isEqual(entry.words, words, 0)) [before, entry] = [entry, entry.next];
    if (entry === undefined) return;
    if (before !== undefined) before.next = entry.next;
    else if (entry.next !== undefined) this.#entries.set(hash, entry.next);
    else this.#entries.delete(hash);
  }

  #hash(words: Uint32Array, at: number): number {
    let hash = this.#seed;
    for (let index = 0; index < PEER_WORDS; index++) {
      hash = Math.imul(hash ^ (words[at + index] ?? 0), 0x9e37_79b1);
      hash ^= hash >>> 15;
    }
    // Small integers are the keys that a map finds fastest.
    return hash & 0x3fff_ffff;
  }
}

function isEqual(own: Uint32Array, words: Uint32Array, at: number): boolean {
  for (let index = 0; index < PEER_WORDS; index++) if (own[index] !== words[at + index]) return false;
  return true;
}
