/** Something that is told when a signal aborts. */
export interface FanMember {
  onAborted(): void;
}

/**
 * Tells many members when one of a few signals aborts. An EventTarget searches all its listeners for each one that is added or
 * removed, which is slow with thousands of flows on one signal. Members are objects, so that none costs a closure.
 */
export class AbortFan {
  readonly #fans = new Map<AbortSignal, { readonly members: Set<FanMember>; stop(): void }>();

  /** Tells the member once when the signal aborts; never where the signal has aborted already. */
  add(signal: AbortSignal, member: FanMember): void {
    const { members } = this.#fans.get(signal) ?? this.#open(signal);
    members.add(member);
  }

  /** Tells the member no longer. Idempotent. */
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
