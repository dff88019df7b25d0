import { EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDHUP, EpollEvents } from '../native/epoll-events.ts';
import { EINTR } from '../native/errno.ts';
import type { Libc } from '../native/libc.ts';
import type { PumpParts } from './pump.ts';
import { RelayedPair } from './relayed-pair.ts';
import {
  type SharedState,
  type ThreadCommand,
  type ThreadReport,
  TRAFFIC_FIELDS,
} from './thread-protocol.ts';

/** Events taken at once. */
const MAX_EVENTS = 256;
const BELL_TOKEN = 0xffff_ffff;
const WAIT_FOR_EVER = -1;

export interface LoopOptions {
  readonly libc: Libc;
  readonly epoll: number;
  readonly bell: number;
  readonly shared: Pick<SharedState, 'open' | 'traffic' | 'quit'>;
  readonly pump: PumpParts;
  /** The next command; undefined where there is none. */
  readonly nextCommand: () => ThreadCommand | undefined;
  readonly report: (ended: ThreadReport) => void;
  /** Milliseconds since the epoch. */
  readonly nowMs: () => number;
}

/**
 * The loop of the relay thread: waits for events of all sockets, and lets each connection that has some move a bounded
 * number of bytes, in turn. Token of a client's socket is twice the connection's slot, of its upstream's one more.
 */
export class RelayLoop {
  readonly #options: LoopOptions;
  readonly #pairs: (RelayedPair | undefined)[] = [];
  readonly #events = new EpollEvents(MAX_EVENTS);
  readonly #event = new EpollEvents(1);
  readonly #counter = new Uint8Array(8);
  /** Slots that have something to do in this turn, and in the next. */
  #due = new Set<number>();
  #dueNext = new Set<number>();
  #ended: number[] = [];

  constructor(options: LoopOptions) {
    this.#options = options;
  }

  /** Runs until it is told to quit. @throws where the kernel refuses to wait. */
  run(): void {
    const { epoll, bell } = this.#options;
    if (!this.#watch(bell, { events: EPOLLIN, token: BELL_TOKEN }))
      throw new Error('the bell can not be watched');
    while (Atomics.load(this.#options.shared.quit, 0) === 0) {
      const timeoutMs = this.#due.size > 0 ? 0 : WAIT_FOR_EVER;
      const { libc } = this.#options;
      const count = libc.epollWait(epoll, this.#events.bytes, { max: MAX_EVENTS, timeoutMs });
      if (count < 0 && count !== -EINTR) throw new Error(`epoll_wait failed with errno ${-count}`);
      for (let index = 0; index < count; index++) this.#take(index);
      this.#runDue();
      if (this.#ended.length > 0) this.#reportEnded();
    }
  }

  #take(index: number): void {
    const token = this.#events.token(index);
    if (token === BELL_TOKEN) return this.#takeCommands();
    const slot = token >>> 1;
    const pair = this.#pairs[slot];
    // Closed earlier in this turn.
    if (pair === undefined) return;
    pair.note(token & 1 ? 'upstream' : 'client', this.#events.events(index));
    this.#due.add(slot);
  }

  #takeCommands(): void {
    this.#options.libc.read(this.#options.bell, this.#counter);
    for (let command = this.#options.nextCommand(); command; command = this.#options.nextCommand()) {
      this.#obey(command);
    }
  }

  #obey(command: ThreadCommand): void {
    switch (command.kind) {
      case 'join':
        return this.#join(command);
      case 'destroy':
        return this.#close(command.slot, 'broken');
    }
  }

  #join({ slot, ...sockets }: Extract<ThreadCommand, { kind: 'join' }>): void {
    this.#pairs[slot] = new RelayedPair(sockets, this.#options.pump);
    const { client, upstream } = sockets;
    const events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    const isWatched =
      this.#watch(client, { events, token: slot * 2 }) &&
      this.#watch(upstream, { events, token: slot * 2 + 1 });
    if (isWatched) this.#due.add(slot);
    else this.#close(slot, 'broken');
  }

  #watch(fd: number, event: { readonly events: number; readonly token: number }): boolean {
    this.#event.set(0, event);
    return this.#options.libc.epollAdd(this.#options.epoll, fd, this.#event.bytes) === 0;
  }

  #runDue(): void {
    const due = this.#due;
    this.#due = this.#dueNext;
    this.#dueNext = due;
    const nowMs = due.size > 0 ? this.#options.nowMs() : 0;
    for (const slot of due) this.#runPair(slot, nowMs);
    due.clear();
  }

  #runPair(slot: number, nowMs: number): void {
    const pair = this.#pairs[slot];
    if (pair === undefined) return;
    const result = pair.run();
    const { traffic } = this.#options.shared;
    const place = slot * TRAFFIC_FIELDS;
    traffic[place] = pair.bytesUp;
    traffic[place + 1] = pair.bytesDown;
    traffic[place + 2] = nowMs;
    if (result === 'more') this.#due.add(slot);
    else if (result !== 'waiting') this.#close(slot, result);
  }

  #close(slot: number, how: 'over' | 'broken'): void {
    const pair = this.#pairs[slot];
    if (pair === undefined) return;
    this.#pairs[slot] = undefined;
    pair.close();
    const { libc, shared } = this.#options;
    Atomics.store(shared.open, slot, 0);
    const close = how === 'over' ? libc.close : libc.closeWithReset;
    close(pair.client.fd);
    close(pair.upstream.fd);
    this.#ended.push(slot);
  }

  #reportEnded(): void {
    this.#options.report(this.#ended);
    this.#ended = [];
  }
}
