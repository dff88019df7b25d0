/** The state of one part of what is observed. */
export type PartState =
  | { readonly kind: 'pending' | 'synced' }
  /** `refusal`: the API server answered and said no, so the reason names what has to be mended. */
  | { readonly kind: 'failed'; readonly reason: string; readonly by: 'refusal' | 'silence' };

/**
 * Whether the API server tells all that has to be known: it does where every part is in sync. Where one fails, the reason
 * says why, and the others go on. It tells changes only, and nothing before `begin()`.
 */
export class Reachability {
  readonly #tell: (reachable: boolean, reason?: string) => void;
  readonly #parts = new Map<string, PartState>();
  #begun = false;
  #told: string | true | undefined;

  constructor(tell: (reachable: boolean, reason?: string) => void) {
    this.#tell = tell;
  }

  get isReachable(): boolean {
    return this.#told === true;
  }

  set(part: string, state: PartState): void {
    this.#parts.set(part, state);
    this.#update();
  }

  remove(part: string): void {
    this.#parts.delete(part);
    this.#update();
  }

  /** The first look at everything is over. */
  begin(): void {
    this.#begun = true;
    this.#update();
  }

  #update(): void {
    if (!this.#begun) return;
    const states = [...this.#parts.values()];
    const failed = states.filter((state) => state.kind === 'failed');
    if (failed.length > 0) return this.#tellFailure(failed);
    if (this.#told === true || states.some(({ kind }) => kind === 'pending')) return;
    this.#told = true;
    this.#tell(true);
  }

  #tellFailure(failed: readonly Extract<PartState, { kind: 'failed' }>[]): void {
    const refusals = new Set(failed.filter(({ by }) => by === 'refusal').map(({ reason }) => reason));
    // When the server goes away, each part fails, one after the other; the first reason is enough.
    const isDown = typeof this.#told === 'string';
    if (refusals.size === 0 && isDown) return;
    const reason = refusals.size === 0 ? (failed[0]?.reason ?? 'no answer') : [...refusals].join('; ');
    if (reason === this.#told) return;
    this.#told = reason;
    this.#tell(false, reason);
  }
}
