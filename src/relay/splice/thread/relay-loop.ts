import type { Clock } from '../../../system/clock.ts';
import type { Shortage } from '../../../system/descriptors.ts';
import type { ClientCounts } from '../../access/client-counts.ts';
import { EPOLLIN } from '../../native/epoll-events.ts';
import type { EndedClient } from '../../end-log.ts';
import type { Libc } from '../../native/libc.ts';
import { createTcpInfoReader } from '../../native/tcp-info.ts';
import { PeerVigil } from '../../tcp/peer-vigil.ts';
import { PairTable } from './pair-table.ts';
import { Poller } from './poller.ts';
import type { PumpParts } from './pump.ts';
import { ROUTE_TOKENS, RouteTable } from './route-table.ts';
import {
  type BarredClient,
  MAX_HANDOVERS,
  type ReturnedClient,
  type SharedState,
  type ThreadCommand,
  type ThreadReport,
} from '../thread-protocol.ts';

const BELL_TOKEN = 0xffff_ffff;

export interface LoopOptions {
  readonly libc: Libc;
  readonly epoll: number;
  readonly bell: number;
  readonly shared: SharedState;
  readonly counts: ClientCounts;
  readonly pump: PumpParts;
  readonly maxDescriptor: number;
  readonly expected: Int32Array;
  /** What the system ran out of in this turn; emptied by each report. */
  readonly short: Set<Shortage>;
  /** The next command; undefined where there is none. */
  readonly nextCommand: () => ThreadCommand | undefined;
  readonly report: (report: ThreadReport) => void;
  readonly clock: Pick<Clock, 'nowMs' | 'monotonicMs'>;
}

/** The loop of the relay thread: waits for events of all sockets and for commands, acts on them, and reports the outcome. */
export class RelayLoop {
  readonly #options: LoopOptions;
  readonly #poller: Poller;
  readonly #vigil: PeerVigil;
  readonly #pairs: PairTable;
  readonly #routes: RouteTable;
  readonly #counter = new Uint8Array(8);
  readonly #used = new Set<number>();
  #ended: number[] = [];
  #finished: EndedClient[] = [];
  #returned: ReturnedClient[] = [];
  #barred: BarredClient[] = [];
  #closed: number[] = [];
  #unwatched: number[] = [];

  constructor(options: LoopOptions) {
    const { libc, shared, pump, clock } = options;
    this.#options = options;
    const poller = new Poller(libc, {
      epoll: options.epoll,
      onRefused: (errno) => void this.#unwatched.push(errno),
    });
    this.#poller = poller;
    const vigil = new PeerVigil({ readTcpInfo: createTcpInfoReader(libc), nowMs: clock.monotonicMs });
    this.#vigil = vigil;
    this.#pairs = new PairTable({
      ...{ poller, shared, pump, vigil, monotonicMs: clock.monotonicMs },
      onConnected: (slot) => this.#routes.connected(slot),
      onRefused: (slot) => this.#routes.refused(slot),
      onClosed: (slot) => {
        if (!this.#routes.ended(slot)) this.#ended.push(slot);
      },
    });
    this.#routes = new RouteTable({
      ...{ libc, poller, shared, counts: options.counts, clock, pairs: this.#pairs },
      maxDescriptor: options.maxDescriptor,
      expected: options.expected,
      onFinished: (finished) => void this.#finished.push(finished),
      onUsed: (route) => void this.#used.add(route),
      onReturned: (returned) => void this.#returned.push(returned),
      onBarred: (barred) => void this.#barred.push(barred),
      onRouteClosed: (route) => void this.#closed.push(route),
    });
  }

  /** Runs until it is told to quit. @throws where the kernel refuses to wait. */
  run(): void {
    const { bell, shared } = this.#options;
    const isWatched = this.#poller.watch(bell, { events: EPOLLIN, token: BELL_TOKEN });
    if (!isWatched) throw new Error('the kernel refuses to watch for commands of the main thread');
    const take = (token: number, events: number) => this.#take(token, events);
    while (Atomics.load(shared.quit, 0) === 0) {
      const vigilMs = this.#vigil.timeoutMs();
      const timesMs = [this.#pairs.timeoutMs(), this.#routes.timeoutMs(), vigilMs];
      this.#poller.wait(shortest(timesMs), take);
      this.#pairs.runDue();
      this.#pairs.endTurn();
      if (vigilMs === 0) this.#pairs.resetGone();
      this.#routes.endTurn();
      this.#report();
    }
  }

  #take(token: number, events: number): void {
    if (token === BELL_TOKEN) this.#takeCommands();
    else if (token >= ROUTE_TOKENS) this.#routes.accept(token - ROUTE_TOKENS);
    else this.#pairs.note(token, events);
  }

  #takeCommands(): void {
    const { libc, bell, nextCommand } = this.#options;
    libc.read(bell, this.#counter);
    for (let command = nextCommand(); command !== undefined; command = nextCommand()) this.#obey(command);
  }

  #obey(command: ThreadCommand): void {
    switch (command.kind) {
      case 'join':
        return this.#pairs.add(command.slot, command, 'connected');
      case 'destroy':
        return this.#pairs.close(command.slot, 'reset');
      case 'close-idle':
        return this.#closeIdle(command);
      case 'open-route':
        return this.#routes.open(command);
      case 'close-route':
        // First, or those that are being connected would be given back, and served in spite of it.
        if (command.destroy) this.#routes.destroy(command.route);
        this.#routes.close(command.route);
    }
  }

  #closeIdle({ slot, bytes, sinceMs }: Extract<ThreadCommand, { readonly kind: 'close-idle' }>): void {
    const { own } = this.#options.shared;
    if (sinceMs === undefined || own.sinceMs[slot - MAX_HANDOVERS] === sinceMs)
      this.#pairs.closeIdle(slot, bytes);
  }

  #report(): void {
    const { shared, short, report } = this.#options;
    // Where an earlier report has not been read yet, the main thread will see the newest state anyway.
    const used = [...this.#used].filter((route) => Atomics.exchange(shared.routeTold, route, 1) === 0);
    this.#used.clear();
    const news = {
      ended: this.#ended,
      finished: this.#finished,
      returned: this.#returned,
      barred: this.#barred,
      used,
      closed: this.#closed,
      unwatched: this.#unwatched,
      short: [...short],
    };
    if (Object.values(news).every(({ length }) => length === 0)) return;
    this.#ended = [];
    this.#finished = [];
    this.#returned = [];
    this.#barred = [];
    this.#closed = [];
    this.#unwatched = [];
    short.clear();
    report(news);
  }
}

/** The shortest of the times, in whole ms; undefined stands for ever, which is -1 for epoll. */
function shortest(timesMs: readonly (number | undefined)[]): number {
  const ms = Math.min(...timesMs.map((timeMs) => timeMs ?? Number.POSITIVE_INFINITY));
  return ms === Number.POSITIVE_INFINITY ? -1 : Math.ceil(ms);
}
