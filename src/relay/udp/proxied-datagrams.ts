/** PROXY headers of datagrams: each datagram has one of its own. Answers have none. */
import { type ProxiedEnds, readProxyHeader } from '../access/proxy-protocol.ts';
import type { ClientLink, DatagramTaker } from './client-io.ts';
import type { DatagramRun } from './datagram-run.ts';

/** Passes a client's datagrams on to its flow, each behind the header that names the client. */
export class HeadedFlow implements DatagramTaker {
  readonly #flow: DatagramTaker;
  readonly #header: Buffer;

  constructor(flow: DatagramTaker, header: Buffer) {
    this.#flow = flow;
    this.#header = header;
  }

  get hasEnded(): boolean {
    return this.#flow.hasEnded;
  }

  receive(datagram: Buffer): void {
    this.#flow.receive(Buffer.concat([this.#header, datagram]));
  }

  receiveRun(run: DatagramRun): void {
    for (let index = 0; index < run.size; index++) this.receive(run.copy(index));
  }
}

interface PeerOptions {
  /** The way back to the proxy in front; the peer's own from now on. */
  readonly link: ClientLink | undefined;
  /**
   * Makes the flow of a client that a header names, or of the proxy itself where it names none; undefined where the client isn't
   * served.
   */
  readonly openFlow: (ends: ProxiedEnds | undefined, link: ClientLink) => DatagramTaker | undefined;
  /** Whether the proxy may still say who a client is. */
  readonly isTrusted: () => boolean;
  /** Told of each datagram that names no client as it should. */
  readonly onRefused: (why: 'untrusted' | 'malformed', reason?: string) => void;
}

/** One socket of a proxy in front. It may pass on the datagrams of many clients, so there is a flow for each that they name. */
export class ProxiedPeer implements DatagramTaker {
  readonly #options: PeerOptions;
  readonly #byClient = new Map<string, DatagramTaker>();
  #hasEnded = false;

  constructor(options: PeerOptions) {
    this.#options = options;
    options.link?.receiveWith(this);
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  receive(datagram: Buffer): void {
    this.#take(datagram);
    this.#endIfUnused();
  }

  receiveRun(run: DatagramRun): void {
    for (let index = 0; index < run.size; index++) this.#take(run.copy(index));
    this.#endIfUnused();
  }

  #take(datagram: Buffer): void {
    const { isTrusted, onRefused } = this.#options;
    if (!isTrusted()) return onRefused('untrusted');
    const reading = readProxyHeader(datagram);
    if (reading.kind === 'incomplete') return onRefused('malformed', 'it is cut off');
    if (reading.kind === 'malformed') return onRefused('malformed', reading.reason);
    const { ends, bytes } = reading;
    const key = ends === undefined ? '' : `${ends.source.host} ${ends.source.port}`;
    const taker = this.#byClient.get(key) ?? this.#options.openFlow(ends, this.#linkOf(key));
    taker?.receive(datagram.subarray(bytes));
  }

  #linkOf(key: string): ClientLink {
    const { link } = this.#options;
    return {
      reply: (datagram) => link?.reply(datagram),
      replyRun: (run) => link?.replyRun(run),
      receiveWith: (taker) => void this.#byClient.set(key, taker),
      unlink: () => {
        this.#byClient.delete(key);
        this.#endIfUnused();
      },
    };
  }

  #endIfUnused(): void {
    if (this.#hasEnded || this.#byClient.size > 0) return;
    this.#hasEnded = true;
    this.#options.link?.unlink();
  }
}
