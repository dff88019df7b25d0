import type { Protocol } from '../model/service.ts';
import type { Clock } from '../system/clock.ts';
import type { Logger } from '../system/log/logger.ts';

/** How a connection or flow has ended, in the words of the log. */
const ENDINGS = {
  closed: 'closed by both sides',
  'client-reset': 'reset by the client',
  'upstream-reset': 'reset by the upstream',
  cut: 'cut by the proxy',
  idle: 'closed by the proxy, since the service goes to sleep and nothing was sent',
  silent: 'ended by silence',
  blocked: 'ended by the new access list',
  displaced: 'ended to make room for another flow',
  unlistened: 'ended with its listener',
  dropped: 'ended because its datagrams could not be kept',
} as const;

/** How a TCP connection ends: `cut` where the proxy ends it, or the other end is gone without a word. */
export type ConnectionEnding = 'closed' | 'client-reset' | 'upstream-reset' | 'cut' | 'idle';
/** How a UDP flow ends that was served. */
export type FlowEnding = Exclude<keyof typeof ENDINGS, Exclude<ConnectionEnding, 'cut'>>;

/** A connection or flow that has ended. */
export interface EndedClient {
  readonly service: string;
  /** Where the client came from and where it was relayed to, each as `host:port`; `upstream` is undefined where nothing was. */
  readonly client: string;
  readonly upstream: string | undefined;
  readonly durationMs: number;
  /** Bytes from the client, and bytes to it. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly ending: keyof typeof ENDINGS;
}

/** Logs each connection and flow at its end, at debug. */
export class EndLog {
  readonly #logger: Logger;
  readonly #clock: Clock;

  private constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
  }

  /** Undefined where the log doesn't show debug: then nobody has to count anything, or make a text. */
  static create({ logger, clock }: { readonly logger: Logger; readonly clock: Clock }): EndLog | undefined {
    return logger.shows?.('debug') === false ? undefined : new EndLog(logger, clock);
  }

  /** The time that durations are measured by. */
  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  tell(protocol: Protocol, ended: EndedClient): void {
    const { service, client, upstream, bytesUp, bytesDown, ending } = ended;
    const durationMs = Math.round(ended.durationMs);
    const what = protocol === 'tcp' ? 'connection' : 'flow';
    const to = upstream === undefined ? '' : ` to ${upstream}`;
    const message = `${service}: ${what} of ${client}${to}: ${ENDINGS[ending]} after ${durationMs} ms, ${bytesUp} bytes up, ${bytesDown} bytes down`;
    this.#logger.debug({ event: `${what}-end`, ...ended, durationMs }, message);
  }
}
