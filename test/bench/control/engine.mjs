import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

/** An engine with so many containers in a process of its own. `close()` ends it. */
export class Engine {
  socket = '';
  #child;

  static async start(options) {
    const engine = new Engine();
    engine.#child = fork(path.join(import.meta.dirname, 'engine-process.mjs'));
    const { socket } = await engine.ask({ kind: 'open', ...options });
    engine.socket = socket;
    return engine;
  }

  /** Sends a request of `engine-process.mjs` and returns the answer; one at a time. */
  async ask(request) {
    const failed = once(this.#child, 'exit').then(() => {
      throw new Error('the engine of the bench ended');
    });
    failed.catch(() => {});
    const answered = once(this.#child, 'message');
    this.#child.send(request);
    const [answer] = await Promise.race([answered, failed]);
    return answer;
  }

  async close() {
    const exited = once(this.#child, 'exit');
    this.#child.disconnect();
    await exited;
  }
}
