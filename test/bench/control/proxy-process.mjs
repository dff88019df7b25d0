import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { ROOT } from '../../../scripts/ensure-installed.mjs';
import { request } from './request.mjs';

/** What is not there by then never comes. */
const MAX_WAIT_MS = 120_000;

/** The program of a build, as `package.json` names it there. */
export function findProgram(dist) {
  const { bin } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'));
  return path.join(path.resolve(dist), path.relative('dist', bin['lazy-proxy']));
}

/** A running proxy whose log is listened to. `start()`, then `stop()`. */
export class ProxyProcess {
  statusPort = 0;
  #options;
  #child;
  #waiting = new Set();
  #last = [];

  /** @param options.args of `node`, before the program */
  constructor({ dist, engine, config, args = [] }) {
    this.#options = { dist, engine, config, args };
  }

  /** Resolves when all listeners are bound, with the time since the spawn. */
  async start() {
    const { dist, engine, config, args } = this.#options;
    this.statusPort = await findFreePort();
    const env = {
      PATH: process.env.PATH,
      ...{ LOG_FORMAT: 'json', DOCKER_SOCK: engine, STATUS_PORT: String(this.statusPort) },
    };
    const named = config === undefined ? [] : ['--config', config];
    const startMs = performance.now();
    const ready = this.logged('ready');
    this.#child = spawn(process.execPath, [...args, findProgram(dist), 'run', ...named], {
      ...{ env, cwd: path.dirname(engine), stdio: ['ignore', 'pipe', 'pipe'] },
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      createInterface({ input: stream }).on('line', (line) => this.#take(line));
    this.#child.once('exit', (code, signal) => this.#ended(`ended with ${code ?? signal}`));
    const { atMs, ...line } = await ready;
    return { ms: atMs - startMs, line };
  }

  /** The next line of that event that passes, with the time of its arrival. */
  logged(event, passes = () => true) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => waiter.reject('said nothing of it'), MAX_WAIT_MS);
      const waiter = {
        take: (line, atMs) => {
          if (line.event !== event || !passes(line)) return;
          this.#forget(waiter);
          resolve({ ...line, atMs });
        },
        reject: (reason) => {
          this.#forget(waiter);
          reject(new Error(`the proxy ${reason} while "${event}" was waited for\n${this.#last.join('\n')}`));
        },
        timer,
      };
      this.#waiting.add(waiter);
    });
  }

  /** Processor time of all its threads so far, ms. */
  cpuMs() {
    const fields = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
    // utime and stime, in ticks of which there are 100 a second on every Linux.
    return (Number(fields[11]) + Number(fields[12])) * 10;
  }

  /** Processor time of the thread with the event loop so far, ms, without the coarseness of ticks. */
  loopCpuMs() {
    const { pid } = this.#child;
    return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
  }

  /** The answer of the status server, parsed. */
  async ask(route) {
    return JSON.parse(await request(this.statusPort, { path: route }));
  }

  async stop() {
    if (this.#child === undefined || this.#child.exitCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await exited;
  }

  #take(text) {
    const atMs = performance.now();
    this.#last = [...this.#last.slice(-4), text];
    if (!text.startsWith('{')) return;
    const line = JSON.parse(text);
    for (const waiter of [...this.#waiting]) waiter.take(line, atMs);
  }

  #ended(reason) {
    for (const waiter of [...this.#waiting]) waiter.reject(reason);
  }

  #forget(waiter) {
    clearTimeout(waiter.timer);
    this.#waiting.delete(waiter);
  }
}

async function findFreePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
