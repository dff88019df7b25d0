import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { type ClientCounts, countOut, countShared } from '../../access/client-counts.ts';
import type { Libc } from '../../native/libc.ts';
import { DESCRIPTORS_PER_CLIENT } from '../thread/route-table.ts';
import {
  createSharedState,
  type SharedState,
  type ThreadCommand,
  type ThreadReport,
  type ThreadStart,
} from '../thread-protocol.ts';

/** Any value rings: the thread looks for commands, not for a number. */
const RING = new Uint8Array(new BigUint64Array([1n]).buffer);

/** The thread runs one loop and needs little memory. */
const RESOURCE_LIMITS = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64, stackSizeMb: 1 } as const;

/** It has to load its library, and to end what it is doing. */
const MAX_END_MS = 1_000;

interface HandleOptions {
  readonly libc: Libc;
  /** The built `relay-thread`. */
  readonly file: URL;
  /** See `ThreadStart`, as of the next. */
  readonly counts: ClientCounts;
  readonly maxDescriptor: number;
  readonly expected: Int32Array;
  readonly onReport: (report: ThreadReport) => void;
  /** The thread has ended by itself, without `stop()`. */
  readonly onDied: (error: Error) => void;
}

/** One relay thread, from its start on. `stop()` ends it, as soon as its connections have ended. */
export class RelayThreadHandle {
  readonly shared: SharedState = createSharedState();
  readonly #options: HandleOptions;
  readonly #epoll: number;
  readonly #bell: number;
  readonly #port: MessagePort;
  readonly #worker: Worker;
  #isRung = false;
  #isStopping = false;
  #isGone = false;
  #failure = new Error('the relay thread ended by itself');
  readonly #quit = () => {
    Atomics.store(this.shared.quit, 0, 1);
    this.#ring();
  };
  readonly #quitAtExit = () => {
    this.#quit();
    // Node stops its threads wherever they are. One that is in native code just then, as while it loads, aborts the whole process.
    Atomics.wait(this.shared.ended, 0, 0, MAX_END_MS);
  };

  /** @throws where no descriptors are left for it. */
  constructor(options: HandleOptions) {
    const { libc } = options;
    this.#options = options;
    this.#epoll = libc.epollCreate();
    this.#bell = libc.eventfd();
    if (this.#epoll < 0 || this.#bell < 0) {
      this.#closeDescriptors();
      throw new Error('there are no descriptors left for the relay thread');
    }
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const workerData: ThreadStart = {
      epoll: this.#epoll,
      bell: this.#bell,
      shared: this.shared,
      counts: options.counts,
      maxDescriptor: options.maxDescriptor,
      expected: options.expected,
      port: port2,
    };
    const transferList = [port2];
    this.#worker = new Worker(options.file, { workerData, transferList, resourceLimits: RESOURCE_LIMITS });
    this.#port.on('message', options.onReport);
    this.#worker.on('error', (error) => {
      this.#failure = error;
    });
    this.#worker.once('exit', () => this.#exited());
    // The thread does not keep the process alive. At the exit it is woken: while it waits in the kernel, the process can't end.
    this.#worker.unref();
    this.#port.unref();
    process.once('exit', this.#quitAtExit);
  }

  /** Sends the thread a command; all commands of one turn of the event loop wake it once. */
  post(command: ThreadCommand): void {
    this.#port.postMessage(command);
    if (this.#isRung) return;
    this.#isRung = true;
    queueMicrotask(() => {
      this.#isRung = false;
      this.#ring();
    });
  }

  /** Ends the thread, whose connections have ended. */
  stop(): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#quit();
  }

  /** Resets the connections that the thread had open when it died. Descriptors that it had closed may be somebody else's by now. */
  resetConnections(): void {
    const { open, sockets, countedService, countedHash } = this.shared;
    for (const [slot, service] of countedService.entries()) {
      const place = { service: service - 1, hash: countedHash[slot] ?? 0, cost: DESCRIPTORS_PER_CLIENT };
      if (service > 0) countOut(this.#options.counts, place);
    }
    for (let slot = open.indexOf(1); slot >= 0; slot = open.indexOf(1, slot + 1)) {
      for (const fd of sockets.subarray(slot * 2, slot * 2 + 2)) this.#options.libc.closeWithReset(fd);
    }
  }

  #ring(): void {
    // The descriptor may be somebody else's by now, who would get these bytes.
    if (this.#isGone) return;
    this.#options.libc.write(this.#bell, RING);
  }

  #exited(): void {
    this.#isGone = true;
    process.off('exit', this.#quitAtExit);
    this.#port.close();
    this.#closeDescriptors();
    if (this.#isStopping) return;
    const { libc, counts } = this.#options;
    for (const end of this.shared.pipes) {
      if (end === 0) continue;
      libc.close(end);
      countShared(counts, -1);
    }
    this.#options.onDied(this.#failure);
  }

  #closeDescriptors(): void {
    for (const fd of [this.#epoll, this.#bell]) if (fd >= 0) this.#options.libc.close(fd);
  }
}
