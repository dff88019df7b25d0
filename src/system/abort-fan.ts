/** One who wants to know of a signal's end. */
export interface FanMember {
  onAborted(): void;
}

/**
 * Tells many of the end of a few signals. An EventTarget looks through all its listeners for each one that comes or goes:
 * thousands of flows on one signal would spend their time there. Who listens is an object, so that each costs no closure.
 */
export class AbortFan {
  readonly #fans = new Map<AbortSignal, { readonly members: Set<FanMember>; stop(): void }>();

  /** Tells it once when the signal aborts; not where it has already. */
  add(signal: AbortSignal, member: FanMember): void {
    const { members } = this.#fans.get(signal) ?? this.#open(signal);
    members.add(member);
  }

  /** Tells it no longer. Idempotent. */
  delete(signal: AbortSignal, member: FanMember): void {
    const fan = this.#fans.get(signal);
    if (fan === undefined || !fan.members.delete(member) || fan.members.size > 0) return;
    fan.stop();
    this.#fans.delete(signal);
  }

  #open(signal: AbortSignal) {
    const members = new Set<FanMember>();
    const tell = () => {
      this.#fans.delete(signal);
      const all = [...members];
      members.clear();
      for (const member of all) member.onAborted();
    };
    signal.addEventListener('abort', tell, { once: true });
    const fan = { members, stop: () => signal.removeEventListener('abort', tell) };
    this.#fans.set(signal, fan);
    return fan;
  }
}
