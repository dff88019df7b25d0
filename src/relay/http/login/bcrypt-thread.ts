/**
 * The thread that checks passwords: bcrypt is slow on purpose, and would hold up every client of the proxy.
 * Input: questions. Output: whether the password fits, in the order in which they came.
 */
import { parentPort } from 'node:worker_threads';
import { compareSync } from 'bcryptjs';

/** Asked of the thread. */
export interface PasswordQuestion {
  readonly id: number;
  readonly password: string;
  /** Of bcrypt: `$2a$`, `$2b$` or `$2y$`. */
  readonly hash: string;
}

export interface PasswordAnswer {
  readonly id: number;
  readonly fits: boolean;
}

parentPort?.on('message', ({ id, password, hash }: PasswordQuestion) => {
  const answer: PasswordAnswer = { id, fits: fitsHash(password, hash) };
  parentPort?.postMessage(answer);
});

function fitsHash(password: string, hash: string): boolean {
  try {
    return compareSync(password, hash);
  } catch {
    return false;
  }
}
