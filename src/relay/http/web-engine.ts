/**
 * What is done for each request. Input: a request that a door has read, and the service that it is for. Output: the service's
 * answer, or the proxy's own. In this order: the access list, the login, whether it may wake the service, a lease, the upstream.
 * Guarantees: nothing wakes, and nothing is counted as use, before the request has passed all that comes before; the lease
 * is held from then on until the last byte of the answer was handed on, or the client has left.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Endpoint } from '../../model/running/observation.ts';
import type { TargetPort } from '../../model/service.ts';
import type { Clock } from '../../system/clock.ts';
import { messageOf } from '../../system/message-of.ts';
import type { Admission } from '../access/admission.ts';
import type { Client } from '../listener.ts';
import type { TuneSocket } from '../tcp/tune-socket.ts';
import { sendAnswer, sendBody } from './answer.ts';
import { drop } from './client-answer.ts';
import { Exchange } from './exchange.ts';
import { answerOf } from './failure.ts';
import { mayWakeBy } from './message/intent.ts';
import type { ReadRequest } from './message/read-request.ts';
import { UpstreamPool } from './upstream/upstream-pool.ts';
import type { Waiting } from './waiting/waiting.ts';
import type { WebBinding } from './web-binding.ts';
import type { WebTally } from './web-tally.ts';

/** Paths that the proxy answers itself, of every host. */
const OWN_PATH = '/.lazy-proxy/';
/** How long it counts that there is room for idle connections. */
const ROOM_MS = 100;

/** V8 minds 8 MiB outside of its heap, where that is small. */
const PASSED_BYTES = 4_194_304;

/** A request that a door has read. */
export interface WebRequest {
  readonly read: ReadRequest;
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
  readonly scheme: 'http' | 'https';
  /** The descriptor of its connection; undefined where Node hides it. */
  readonly fd: number | undefined;
  /** Who sends it. */
  readonly peer: Client;
  /** Whether the peer is a proxy whose word counts. */
  readonly isTrusted: boolean;
  /** The address of the client itself. */
  readonly address: string;
  /** The connection by which it comes, and where it led to, as the proxy in front says; undefined = to this end of it. */
  readonly visit: { readonly socket: Socket; readonly destination?: Endpoint | undefined };
}

/** A service at a door. */
export interface WebRoute {
  readonly binding: WebBinding;
  readonly tally: WebTally;
  /** The hosts that lead here; absent where every host does. */
  readonly hosts?: readonly string[];
}

/** Checks who a client says it is. */
export interface LoginCheck {
  /** Undefined where it may go on; else the answer that it gets. */
  check(request: WebRequest, binding: WebBinding): LoginResult | undefined | Promise<LoginResult | undefined>;
  close(): void;
}

export interface LoginResult {
  readonly status: 401 | 429;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** What the client has shown is wrong; else it has shown nothing. */
  readonly isWrong?: boolean;
}

export interface WebEngineParts {
  readonly clock: Clock;
  readonly waiting: Waiting;
  readonly login: LoginCheck;
  /** Limits the number of requests; absent = no limit. */
  readonly admission?: Admission | undefined;
  /** Sets the options of a socket. */
  readonly tune: TuneSocket;
  /** Passes bytes both ways between a client and an upstream that have agreed on another protocol; `onEnd` tells the end, once. */
  readonly join: (
    sockets: { readonly client: Socket; readonly upstream: Socket; readonly keepAliveMs: number },
    onEnd: () => void,
  ) => JoinedSockets;
  /** Told of each client that the access list refused. */
  readonly onRefused: (client: string, service: string) => void;
  /** Told of each request that the service has not answered, except where the client has left. */
  readonly onUnserved: (client: string, why: { readonly service: string; readonly error: unknown }) => void;
  /** Called for what is young while big bodies pass; absent where memory doesn't count. */
  readonly collectYoung?: (() => void) | undefined;
  /** Logs each request at its end; absent where nobody wants to know. */
  readonly onServed?: ((served: ServedRequest) => void) | undefined;
}

export interface JoinedSockets {
  readonly traffic: { readonly bytesUp: number; readonly bytesDown: number };
  quietMs(): number | undefined;
  closeIdle(bytes: number): void;
  destroy(): void;
}

export interface ServedRequest {
  readonly service: string;
  readonly client: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly durationMs: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
}

/** One for all doors. `close()` ends it. */
export class WebEngine {
  readonly parts: WebEngineParts;
  /** By service and port. */
  readonly #pools = new Map<string, Map<TargetPort, UpstreamPool>>();
  #passed = 0;
  #room = true;
  #roomAtMs = Number.NEGATIVE_INFINITY;

  constructor(parts: WebEngineParts) {
    this.parts = parts;
  }

  /** Serves a request; never throws. */
  serve(request: WebRequest, route: WebRoute): void {
    const { binding, tally } = route;
    const { response, address, peer } = request;
    if (!binding.access.allows(address)) {
      tally.blocked++;
      this.parts.onRefused(peer.address === address ? peer.endpoint : address, binding.service);
      if (binding.policy.blocked === 'close') return drop(response);
      return sendAnswer(response, { status: 403, text: 'Your address is not let in here.', closes: true });
    }
    const login = this.parts.login.check(request, binding);
    const follow = (result: LoginResult | undefined) => {
      if (response.destroyed) return;
      if (result === undefined) return this.#serveKnown(request, route);
      if (result.isWrong) tally.refuse('login');
      sendAnswer(response, result);
    };
    if (!(login instanceof Promise)) return follow(login);
    void login.then(follow, (error: unknown) =>
      sendAnswer(response, { status: 500, text: `The login could not be checked: ${messageOf(error)}.` }),
    );
  }

  /** The pool of a service's port. */
  poolOf({ service, targetPort }: WebBinding): UpstreamPool {
    const ofService = this.#pools.get(service) ?? new Map<TargetPort, UpstreamPool>();
    let pool = ofService.get(targetPort);
    if (pool === undefined) {
      const { clock } = this.parts;
      pool = new UpstreamPool({ clock, mayKeep: () => this.#isRoomy });
      this.#pools.set(service, ofService.set(targetPort, pool));
    }
    return pool;
  }

  /**
   * So many bytes of a body have passed. Each piece has memory of its own outside of V8's heap, which V8 takes for a shortage, and then
   * looks through all of its memory: that took as long as everything else. A look at what is young frees the pieces.
   */
  notePassed(bytes: number): void {
    this.#passed += bytes;
    if (this.#passed < PASSED_BYTES) return;
    this.#passed = 0;
    this.parts.collectYoung?.();
  }

  /** Whether idle connections may be kept. It takes system calls to find that out, so it is done now and then. */
  get #isRoomy(): boolean {
    const { clock, admission } = this.parts;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#roomAtMs < ROOM_MS) return this.#room;
    this.#roomAtMs = nowMs;
    this.#room = admission?.isRoomy !== false;
    return this.#room;
  }

  /** The service is gone: its idle connections are closed, whichever port they lead to. */
  forget(service: string): void {
    for (const pool of this.#pools.get(service)?.values() ?? []) pool.close();
    this.#pools.delete(service);
  }

  /** Idempotent. */
  close(): void {
    for (const service of this.#pools.keys()) this.forget(service);
    this.parts.waiting.close();
    this.parts.login.close();
  }

  /** Serves a client that has passed access list and login. */
  #serveKnown(request: WebRequest, route: WebRoute): void {
    const { binding, tally } = route;
    const { read, response, peer } = request;
    if (read.path.startsWith(OWN_PATH)) return this.parts.waiting.answer(request, binding);
    const admitted = this.parts.admission?.admit({
      ...{ bounds: binding.bounds, address: request.address, endpoint: peer.endpoint, kind: 'request' },
      fd: request.fd,
    });
    if (admitted?.kind === 'refused') {
      tally.refuse(admitted.bound);
      admitted.tell();
      const text = `${binding.service} has as many requests under way as it may have.`;
      return sendAnswer(response, { status: 503, text, retryAfterSeconds: 1 });
    }
    if (!mayWakeBy(read.path, binding.policy.wakePaths)) {
      const { state } = binding.look();
      if (state === 'asleep' || state === 'failed') {
        admitted?.leave();
        tally.refuse('asleep');
        const text = `${binding.service} is asleep, and requests for this path don't wake it (wake_paths).`;
        return sendAnswer(response, { status: 503, text, retryAfterSeconds: 30 });
      }
    }
    new Exchange(this, { request, route, seat: admitted }).serve();
  }

  /** A request got no answer from its service: the client gets the proxy's. */
  answerUnserved(
    request: WebRequest,
    route: WebRoute,
    why: { readonly error: unknown; readonly wasReady: boolean },
  ): void {
    const { binding, tally } = route;
    const { response, peer } = request;
    const answer = answerOf(why.error, { service: binding.service, wasReady: why.wasReady });
    if (answer === undefined) return;
    if (answer.why === 'asleep' || answer.why === 'wake-list' || answer.why === 'slow-body')
      tally.refuse(answer.why);
    else tally.leaveUnserved(answer.why);
    this.parts.onUnserved(peer.endpoint, { service: binding.service, error: why.error });
    const closes = !request.message.complete && request.read.body !== 'none';
    const page = answer.isOfWake ? this.parts.waiting.failurePage(request, binding, why.error) : undefined;
    const { status, text, retryAfterSeconds } = answer;
    if (page !== undefined) return sendBody(response, { ...page, status, closes });
    sendAnswer(response, { status, text, retryAfterSeconds, closes });
  }
}
