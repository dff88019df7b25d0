interface Turn {
  readonly name: string;
  readonly look: () => Promise<unknown>;
  readonly done: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Starts looks in the order in which they are asked for: at most `maxAtOnce`, and one of each name. Callers who ask for a name
 * that waits already share one look. A look that never ends takes up one place, however often its name is asked for.
 */
export class LookTurns {
  readonly #maxAtOnce: number;
  readonly #running = new Set<string>();
  /** By name. A turn waits while another look at its name runs. */
  readonly #waiting = new Map<string, Turn>();

  constructor(maxAtOnce: number) {
    this.#maxAtOnce = maxAtOnce;
  }

  /** Settles as a look that begins after this call does; the look begins at once where nothing is in its way. */
  take(name: string, look: () => Promise<unknown>): Promise<void> {
    const waiting = this.#waiting.get(name);
    if (waiting !== undefined) return waiting.done;
    const turn = createTurn(name, look);
    if (this.#mayBegin(name)) this.#begin(turn);
    else this.#waiting.set(name, turn);
    return turn.done;
  }

  #mayBegin(name: string): boolean {
    return this.#running.size < this.#maxAtOnce && !this.#running.has(name);
  }

  #begin({ name, look, resolve, reject }: Turn): void {
    this.#running.add(name);
    look()
      .then(resolve, reject)
      .finally(() => {
        this.#running.delete(name);
        this.#beginNext();
      });
  }

  #beginNext(): void {
    for (const turn of this.#waiting.values()) {
      if (this.#running.size >= this.#maxAtOnce) return;
      if (this.#running.has(turn.name)) continue;
      this.#waiting.delete(turn.name);
      this.#begin(turn);
    }
  }
}

function createTurn(name: string, look: () => Promise<unknown>): Turn {
  let resolve = () => {};
  let reject: (reason: unknown) => void = () => {};
  const done = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { name, look, done, resolve, reject };
}
