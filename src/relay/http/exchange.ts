import type { Socket } from 'node:net';
import type { ClientUse, LeaseUser } from '../../model/running/client-use.ts';
import { afterReads } from '../../system/clock.ts';
import { linkSignals } from '../../system/waiting/link-signals.ts';
import { writeProxyHeader } from '../access/proxy-protocol.ts';
import type { PresentClient } from '../listener.ts';
import { breakOff, drop } from './client-answer.ts';
import { codeOf } from './failure.ts';
import { forwardHeaders } from './message/forward-headers.ts';
import { type ForwardEnd, Forwarding, isRepeatable, type Switched } from './forwarding.ts';
import type { UpstreamConnection } from './upstream/upstream-connection.ts';
import type { UpstreamPool } from './upstream/upstream-pool.ts';
import type { WebLease } from './web-binding.ts';
import type { CountedRequest } from './web-tally.ts';
import type { JoinedSockets, WebEngine, WebRequest, WebRoute } from './web-engine.ts';

/**
 * A new connection that ends without an answer is mostly one to a service that is being stopped: it may take connections for a moment
 * yet, and its engine tells of its end a little later. For so long that is waited for, before the request is asked again, and before
 * it is given up.
 */
const STOPPING_MS = { again: 100, givenUp: 500 } as const;
/** How often one request may lose the run that it was sent to because somebody else has stopped that. */
const MAX_LOST_RUNS = 3;

/** One request that was let in, until the last byte of its answer, or its client's leaving. */
export class Exchange implements CountedRequest, ClientUse, LeaseUser {
  place: number | undefined;
  readonly #engine: WebEngine;
  readonly #request: WebRequest;
  readonly #route: WebRoute;
  readonly #pool: UpstreamPool;
  /** Its place among the clients; undefined where nobody counts them. */
  readonly #seat: { leave(): void } | undefined;
  /** Made where the client may have to wait. */
  #left: AbortController | undefined;
  readonly #sinceMs: number;
  readonly #beganMs: number;
  #lease: WebLease | undefined;
  #ended: (() => void) | undefined;
  #forwarding: Forwarding | undefined;
  #joined: JoinedSockets | undefined;
  #wasReady = false;
  #isRepeated = false;
  #lostRuns = 0;
  #isOver = false;

  constructor(
    engine: WebEngine,
    options: {
      readonly request: WebRequest;
      readonly route: WebRoute;
      readonly seat: { leave(): void } | undefined;
    },
  ) {
    this.#engine = engine;
    this.#request = options.request;
    this.#route = options.route;
    this.#seat = options.seat;
    this.#pool = engine.poolOf(options.route.binding);
    this.#sinceMs = engine.parts.clock.nowMs();
    this.#beganMs = engine.parts.clock.monotonicMs();
  }

  /** Its client as it is now. */
  get present(): PresentClient {
    const { endpoint } = this.#request.peer;
    const isWaiting = this.#forwarding === undefined;
    return { endpoint, sinceMs: this.#sinceMs, isWaiting, ...this.traffic };
  }

  /** Aborts when the client leaves. */
  get #leaving(): AbortSignal {
    this.#left ??= new AbortController();
    return this.#left.signal;
  }

  get traffic() {
    if (this.#joined !== undefined) return this.#joined.traffic;
    const { bytesUp = 0, bytesDown = 0 } = this.#forwarding ?? {};
    return { bytesUp, bytesDown };
  }

  get bytes(): number | undefined {
    if (this.#joined === undefined && this.#forwarding === undefined) return undefined;
    const { bytesUp, bytesDown } = this.traffic;
    return bytesUp + bytesDown;
  }

  quietMs(): number | undefined {
    return this.#joined?.quietMs();
  }

  closeIdle(bytes: number): void {
    if (this.#joined !== undefined) return this.#joined.closeIdle(bytes);
    // What has come already is read by then.
    afterReads(() => {
      if (!this.#isOver && this.#joined === undefined && (this.bytes ?? bytes + 1) <= bytes) this.destroy();
    });
  }

  listUses(): readonly ClientUse[] {
    return [this];
  }

  serve(): void {
    const { response, peer, address } = this.#request;
    const { binding, tally } = this.#route;
    tally.begin(this);
    // It comes once; `once` would cost more.
    response.on('close', () => this.#clientDone());
    try {
      this.#ended = binding.track?.({ ...peer, address }, () => this.traffic);
      this.#lease = binding.takeLease({ client: peer.endpoint, address, user: this });
      const { waiting } = this.#engine.parts;
      const idle = this.#takeIdle();
      // A page that was shown to this client has done its duty.
      if (idle !== undefined) waiting.served(binding.service, address);
      if (idle !== undefined) return this.#forward(idle);
    } catch (error) {
      return this.#fail(error);
    }
    void this.#wait();
  }

  /** Without a connection at hand: waits for one, and for the service where it is not ready. */
  async #wait(): Promise<void> {
    const { binding } = this.#route;
    try {
      this.#wasReady = binding.isReady();
      if (!this.#wasReady && (await this.#isShownPage())) return;
      if (this.#isOver) return;
      this.#engine.parts.waiting.served(binding.service, this.#request.address);
      this.#forward(this.#takeIdle() ?? (await this.#connect()));
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Ends it now. */
  destroy(): void {
    this.#joined?.destroy();
    drop(this.#request.response);
    this.#clientDone();
  }

  /** A browser that would have to wait for long gets a page; whether it did. */
  async #isShownPage(): Promise<boolean> {
    const { waiting } = this.#engine.parts;
    return waiting.offer(this.#request, {
      ...{ binding: this.#route.binding, pool: this.#pool, signal: this.#leaving },
    });
  }

  /** What an upstream is told of the client at the begin of a connection, which is for this client alone then. */
  get #told(): string | undefined {
    const { proxyProtocol } = this.#route.binding;
    return proxyProtocol === undefined ? undefined : `${proxyProtocol} ${this.#request.address}`;
  }

  /** Tells a new upstream who the client is, where it is to be told by a PROXY header. */
  #introduce(upstream: Socket): void {
    const { proxyProtocol } = this.#route.binding;
    if (proxyProtocol === undefined) return;
    const { visit, peer, address } = this.#request;
    const { localAddress = '', localPort = 0 } = visit.socket;
    const header = writeProxyHeader(proxyProtocol, {
      // Of a client that a header names nobody knows the port.
      source: { host: address, port: peer.address === address ? peer.port : 0 },
      destination: visit.destination ?? { host: localAddress, port: localPort },
      protocol: 'tcp',
    });
    upstream.write(header);
  }

  #takeIdle(): UpstreamConnection | undefined {
    const { read } = this.#request;
    // What changes its protocol, and what waits for a word before its body, is none for a connection that may be dead.
    if (read.upgrade !== undefined || read.expectsContinue) return undefined;
    return this.#pool.take({ isRepeatable: isRepeatable(read), of: this.#told });
  }

  async #connect(): Promise<UpstreamConnection> {
    const { tune, admission } = this.#engine.parts;
    const { keepAliveMs } = this.#route.binding;
    const expected = admission?.descriptors.expectOne();
    try {
      if (this.#lease === undefined) throw new Error('there is no lease');
      const { socket, ended } = await this.#lease.connect(this.#leaving);
      tune(socket, keepAliveMs);
      this.#introduce(socket);
      const connection = this.#pool.adopt(socket, { ended, of: this.#told });
      if (this.#isOver) this.#pool.giveBack(connection);
      return connection;
    } finally {
      expected?.();
    }
  }

  #forward(connection: UpstreamConnection): void {
    if (this.#isOver) return;
    const { read, message, response } = this.#request;
    const { policy } = this.#route.binding;
    const { peer, isTrusted, address: client, scheme } = this.#request;
    const login = { hasPassword: policy.basicAuth.length > 0, hasKey: policy.apiKeys.length > 0 };
    const headers = forwardHeaders(read, { peer: peer.address, isTrusted, client, scheme }, login);
    if (read.upgrade === undefined) headers.push('Connection', 'keep-alive');
    else headers.push('Connection', 'Upgrade', 'Upgrade', read.upgrade);
    try {
      this.#forwarding = new Forwarding({
        ...{ read, headers, message, response, connection },
        ...{ clock: this.#engine.parts.clock, meter: this.#engine },
        onEnd: (end) => this.#forwarded(end, connection),
      });
    } catch (error) {
      this.#pool.giveBack(connection);
      this.#fail(error);
    }
  }

  #forwarded(end: ForwardEnd, connection: UpstreamConnection): void {
    switch (end.kind) {
      case 'left':
        return;
      case 'answered':
        // A client must not take what it has for all of it.
        if (!end.isWhole) breakOff(this.#request.response);
        return;
      case 'switched':
        return this.#join(end.switched);
      case 'unanswered':
        if (this.#isOver) return;
        if (!end.mayRepeat) return this.#fail(end.error);
        this.#forwarding = undefined;
        void this.#askAgain(connection, end.error).catch((error: unknown) => this.#fail(error));
    }
  }

  /** Asks once more, and again where it was not the service that has ended its run. @throws where that was done already. */
  async #askAgain({ ended, isKept }: UpstreamConnection, error: Error): Promise<void> {
    const isLast = this.#isRepeated;
    if (!isKept) await this.#untilEnded(ended, isLast ? STOPPING_MS.givenUp : STOPPING_MS.again);
    if (codeOf(ended.reason) === 'stopped-by-others' && this.#lostRuns < MAX_LOST_RUNS) this.#lostRuns++;
    else if (isLast) throw error;
    else this.#isRepeated = true;
    if (!this.#isOver) this.#forward(await this.#connect());
  }

  async #untilEnded(ended: AbortSignal, withinMs: number): Promise<void> {
    const { signal, unlink } = linkSignals([ended, this.#leaving]);
    await this.#engine.parts.clock.sleep(withinMs, signal).catch(() => {});
    unlink();
  }

  /** Both sides speak another protocol from now on. */
  #join({ socket: upstream, head, statusMessage, headers }: Switched): void {
    const { response } = this.#request;
    const client = response.socket;
    if (client === null || this.#isOver) return void upstream.destroy();
    const lines = [`HTTP/1.1 101 ${statusMessage}`];
    for (let index = 0; index < headers.length; index += 2)
      lines.push(`${headers[index]}: ${headers[index + 1]}`);
    response.statusCode = 101;
    response.removeAllListeners('close');
    response.detachSocket(client);
    response.emit('detached');
    client.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
    if (head.length > 0) upstream.unshift(head);
    const { keepAliveMs } = this.#route.binding;
    this.#joined = this.#engine.parts.join({ client, upstream, keepAliveMs }, () => this.#end());
  }

  #clientDone(): void {
    this.#forwarding?.abandon();
    this.#left?.abort(new Error('the client left'));
    this.#end();
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    if (codeOf(error) === 'left') return drop(this.#request.response);
    // Without an answer of the service this is the end of the wait, whatever the client does with ours.
    this.#engine.answerUnserved(this.#request, this.#route, { error, wasReady: this.#wasReady });
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#lease?.release();
    this.#seat?.leave();
    this.#ended?.();
    const { binding, tally } = this.#route;
    tally.end(this);
    const { bytesUp, bytesDown } = this.traffic;
    const { onServed, clock } = this.#engine.parts;
    const { read, peer, response } = this.#request;
    onServed?.({
      ...{ service: binding.service, client: peer.endpoint, method: read.method, path: read.path },
      ...{ status: response.statusCode, durationMs: clock.monotonicMs() - this.#beganMs },
      ...{ bytesUp, bytesDown },
    });
  }
}
