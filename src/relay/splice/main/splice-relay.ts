import type { Server, Socket } from 'node:net';
import type { Cancel, Clock } from '../../../system/clock.ts';
import { LogLimiter } from '../../../system/log/log-limiter.ts';
import type { Logger } from '../../../system/log/logger.ts';
import type { Admission } from '../../access/admission.ts';
import { createClientCounts } from '../../access/client-counts.ts';
import { descriptorOf } from '../../native/descriptor-of.ts';
import { ENOMEM, ENOSPC } from '../../native/errno.ts';
import type { Libc } from '../../native/libc.ts';
import type { HeldClientWatcher } from '../../native/held-clients.ts';
import type {
  OnConnectionEnd,
  RelayedConnection,
  RelayKind,
  RelaySockets,
  RouteOptions,
  TcpRelay,
  TcpRoute,
} from '../../tcp/tcp-relay.ts';
import { createTuneSocket, type TuneSocket } from '../../tcp/tune-socket.ts';
import { EndLog } from '../../end-log.ts';
import { Handovers } from './handovers.ts';
import { RelayThreadHandle } from './relay-thread-handle.ts';
import { Routes } from './routes.ts';
import type { ThreadReport } from '../thread-protocol.ts';

/** How long an unused thread is kept, in ms. It takes some 10 MB, and a new one starts within 50 ms. */
const IDLE_MS = 8_000;

const WARNING_INTERVAL_MS = 60_000;

export interface SpliceRelayOptions {
  readonly libc: Libc;
  /** The built `relay-thread`. */
  readonly threadFile: URL;
  /** Relays what the thread can't take: when descriptors or slots run out, and everything after the thread has failed. */
  readonly fallback: TcpRelay;
  /** Limits the clients that the thread takes; absent = no limit. */
  readonly admission?: Admission | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A relay thread with its connections and routes. */
interface Running {
  readonly thread: RelayThreadHandle;
  readonly handovers: Handovers;
  readonly routes: Routes;
}

/**
 * Relays on a thread of its own, by splice(2): bytes stay in the kernel. The thread is started with the first connection,
 * and ended when it is not used.
 */
export class SpliceRelay implements TcpRelay {
  readonly tune: TuneSocket;
  readonly #options: SpliceRelayOptions;
  readonly #warnings: LogLimiter;
  readonly #endLog: EndLog | undefined;
  #running: Running | undefined;
  #hasFailed = false;
  /** How many connections are expected. */
  #expected = 0;
  #isClosed = false;
  /** The listening sockets are being taken back; the thread ends once it has closed its own copies. */
  #isRetiring = false;
  #cancelIdle: Cancel | undefined;

  constructor(options: SpliceRelayOptions) {
    this.#options = options;
    this.tune = createTuneSocket(options.libc);
    this.#endLog = EndLog.create(options);
    this.#warnings = new LogLimiter(options.clock, WARNING_INTERVAL_MS);
  }

  get kind(): RelayKind {
    return this.#hasFailed ? this.#options.fallback.kind : 'splice';
  }

  hold(client: Socket, watcher: HeldClientWatcher): (() => void) | undefined {
    return this.#options.fallback.hold(client, watcher);
  }

  hasEnded(client: Socket): boolean {
    return this.#options.fallback.hasEnded(client);
  }

  prepare(): () => void {
    this.#expected++;
    this.#use();
    return () => {
      this.#expected--;
      this.#followUse();
    };
  }

  join(sockets: RelaySockets, onEnd: OnConnectionEnd): RelayedConnection {
    this.tune(sockets.upstream, sockets.keepAliveMs);
    const joined = this.#use()?.handovers.join(sockets, onEnd);
    this.#followUse();
    return joined ?? this.#options.fallback.join(sockets, onEnd);
  }

  openRoute(server: Server, options: RouteOptions): TcpRoute | undefined {
    this.tune(server, options.keepAliveMs);
    const route = this.#use()?.routes.open(server, options);
    this.#followUse();
    return route;
  }

  closeServer(server: Server): void {
    const fd = descriptorOf(server);
    // The thread has a descriptor of its own and may hear of the close too late, so accepting ends here.
    if (fd !== undefined) this.#options.libc.shutdownRead(fd);
    server.close();
  }

  close(): void {
    this.#isClosed = true;
    this.#options.fallback.close();
    this.#running?.handovers.destroy();
    this.#running?.routes.destroy();
    this.#followUse();
  }

  #use(): Running | undefined {
    if (this.#hasFailed || this.#isClosed) return undefined;
    this.#cancelIdle?.();
    this.#cancelIdle = undefined;
    this.#isRetiring = false;
    this.#running ??= this.#start();
    return this.#running;
  }

  #start(): Running | undefined {
    const { libc, threadFile: file, admission } = this.#options;
    try {
      const thread = new RelayThreadHandle({
        ...{ libc, file, counts: admission?.counts ?? createClientCounts(0) },
        maxDescriptor: admission?.descriptors.crowded ?? Number.POSITIVE_INFINITY,
        expected: admission?.descriptors.expected ?? new Int32Array(1),
        onReport: (report) => this.#take(report),
        onDied: (error) => this.#died(error),
      });
      const maxDescriptor = admission?.descriptors.bound ?? Number.POSITIVE_INFINITY;
      const handovers = new Handovers(thread, { libc, maxDescriptor });
      const routes = new Routes(thread, { libc, reportsEnds: this.#endLog !== undefined });
      return { thread, handovers, routes };
    } catch {
      // Too few descriptors for now.
      return undefined;
    }
  }

  #take(report: ThreadReport): void {
    this.#running?.handovers.take(report);
    this.#running?.routes.take(report);
    for (const finished of report.finished) this.#endLog?.tell('tcp', finished);
    for (const errno of report.unwatched) this.#warnUnwatched(errno);
    for (const shortage of report.short)
      this.#options.admission?.descriptors.tell('the relay thread could not open a socket or pipe', shortage);
    this.#followUse();
  }

  /** Ends the thread after it was idle for a while, or at the shutdown as soon as it has nothing left to do. */
  #followUse(): void {
    if (this.#running === undefined) return;
    const { handovers, routes } = this.#running;
    const isUsed = this.#expected > 0 || handovers.count > 0 || routes.isUsed;
    if (isUsed) {
      this.#cancelIdle?.();
      this.#cancelIdle = undefined;
    } else if ((this.#isClosed || this.#isRetiring) && routes.count === 0) {
      this.#stop();
    } else {
      this.#cancelIdle ??= this.#options.clock.schedule(IDLE_MS, () => this.#retire());
    }
  }

  #retire(): void {
    this.#cancelIdle = undefined;
    this.#isRetiring = true;
    this.#running?.routes.lapse();
    this.#followUse();
  }

  #stop(): void {
    this.#cancelIdle?.();
    this.#cancelIdle = undefined;
    this.#running?.thread.stop();
    this.#running = undefined;
  }

  #warnUnwatched(errno: number): void {
    const suppressed = this.#warnings.pass('unwatched');
    if (suppressed === undefined) return;
    const isLimit = errno === ENOSPC || errno === ENOMEM;
    const advice = isLimit ? '; raise fs.epoll.max_user_watches (sysctl)' : '';
    const more = suppressed === 0 ? '' : `, and ${suppressed} more before it`;
    this.#options.logger.warn(
      { event: 'relay-unwatched' },
      `the kernel refuses to watch a socket for the relay thread (errno ${errno})${advice}: its connection was reset, or its listener is served by the main thread${more}`,
    );
  }

  #died(error: Error): void {
    const running = this.#running;
    this.#hasFailed = true;
    this.#cancelIdle?.();
    this.#running = undefined;
    const message = `the relay thread has failed: ${error.message}; its connections were reset, and new ones are relayed through Node's streams`;
    this.#options.logger.error({ event: 'relay-failed' }, message);
    running?.thread.resetConnections();
    running?.handovers.died();
    running?.routes.died();
  }
}
