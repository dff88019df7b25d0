import { Worker } from 'node:worker_threads';
import type { Cancel, Clock } from '../../../system/clock.ts';
import type { PasswordAnswer, PasswordQuestion } from './bcrypt-thread.ts';

/** A thread without questions ends after this time. */
const IDLE_MS = 60_000;

/** Checks passwords in a thread of its own, which is started for the first one. `close()` ends it. */
export class PasswordChecker {
  readonly #file: URL;
  readonly #clock: Clock;
  readonly #asked = new Map<number, (fits: boolean | Error) => void>();
  #worker: Worker | undefined;
  #cancelEnd: Cancel | undefined;
  #lastId = 0;

  /** @param options.file the built `bcrypt-thread`. */
  constructor(options: { readonly file: URL; readonly clock: Clock }) {
    this.#file = options.file;
    this.#clock = options.clock;
  }

  /** Questions that are not answered yet. */
  get waiting(): number {
    return this.#asked.size;
  }

  /** Whether a password fits a hash of bcrypt. @throws where the thread can't be had. */
  check(password: string, hash: string): Promise<boolean> {
    this.#cancelEnd?.();
    const worker = this.#start();
    const question: PasswordQuestion = { id: ++this.#lastId, password, hash };
    return new Promise((resolve, reject) => {
      this.#asked.set(question.id, (fits) => (fits instanceof Error ? reject(fits) : resolve(fits)));
      worker.postMessage(question);
    });
  }

  /** Idempotent. */
  close(): void {
    this.#cancelEnd?.();
    void this.#worker?.terminate();
    this.#worker = undefined;
    this.#failAll(new Error('the proxy is shutting down'));
  }

  #start(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const worker = new Worker(this.#file, { name: 'passwords' });
    this.#worker = worker;
    worker.unref();
    worker.on('message', ({ id, fits }: PasswordAnswer) => {
      this.#asked.get(id)?.(fits);
      this.#asked.delete(id);
      if (this.#asked.size === 0) this.#endLater();
    });
    const lost = (error: Error) => {
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      this.#failAll(error);
    };
    worker
      .on('error', lost)
      .once('exit', () => lost(new Error('the thread that checks passwords has ended')));
    return worker;
  }

  #endLater(): void {
    this.#cancelEnd?.();
    this.#cancelEnd = this.#clock.schedule(IDLE_MS, () => {
      const worker = this.#worker;
      this.#worker = undefined;
      void worker?.terminate();
    });
  }

  #failAll(error: Error): void {
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    for (const answer of asked) answer(error);
  }
}
