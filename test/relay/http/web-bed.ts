import { once, setMaxListeners } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from 'node:net';
import { NO_WEB, type WebPolicy } from '../../../src/model/web.ts';
import { type AccessRanges, compileAccessList } from '../../../src/relay/access/access-list.ts';
import { HostTable } from '../../../src/relay/http/message/host-table.ts';
import { Waiting } from '../../../src/relay/http/waiting/waiting.ts';
import type { WakeView, WebBinding } from '../../../src/relay/http/web-binding.ts';
import { WebDoor, type WebDoorOptions } from '../../../src/relay/http/web-door.ts';
import { WebEngine, type WebEngineParts, type WebRoute } from '../../../src/relay/http/web-engine.ts';
import { WebTally } from '../../../src/relay/http/web-tally.ts';
import { createStreamRelay } from '../../../src/relay/tcp/stream-relay.ts';
import { type Clock, systemClock } from '../../../src/system/clock.ts';
import { aListener } from '../../support/builders.ts';
import { freePort } from '../../support/free-ports.ts';

/** How a service of the bed behaves. */
interface BedService {
  readonly host: string;
  /** What it is when it is awake: a server of HTTP, or one that gets the sockets. */
  readonly app?: RequestListener;
  readonly raw?: (socket: Socket) => void;
  readonly policy?: Partial<WebPolicy>;
  readonly access?: AccessRanges;
  readonly track?: WebBinding['track'];
  readonly proxyProtocol?: WebBinding['proxyProtocol'];
}

/** One service behind the door, with what a test looks at. */
export class WebService {
  readonly tally = new WebTally();
  readonly binding: WebBinding;
  readonly server: Server;
  /** Leases that are held now, and connections that were made so far. */
  leases = 0;
  dials = 0;
  /** Aborts where the workload stops. */
  run = beginRun();
  view: WakeView = { state: 'ready' };
  /** Resolves when the service is awake; replaced by tests. */
  awake: Promise<void> = Promise.resolve();
  readonly #sockets = new Set<Socket>();

  constructor({ host, app, raw, policy, access, track, proxyProtocol }: BedService) {
    this.server = raw === undefined ? createServer(app) : createTcpServer({ allowHalfOpen: true }, raw);
    this.server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket.on('error', () => {}));
      socket.once('close', () => this.#sockets.delete(socket));
    });
    this.binding = {
      ...{ service: host.split('.')[0] ?? host, targetPort: 80, keepAliveMs: 60_000, track },
      access: compileAccessList(access ?? { allowList: [], blockList: [] }),
      bounds: { service: host, maxConnections: 0, maxConnectionsPerAddress: 0 },
      policy: { ...NO_WEB, ...policy },
      proxyProtocol,
      isReady: () => this.view.state === 'ready',
      look: () => this.view,
      takeLease: () => {
        this.leases++;
        let isHeld = true;
        return {
          connect: (signal) => this.#connect(signal),
          release: () => {
            if (isHeld) this.leases--;
            isHeld = false;
          },
        };
      },
    };
  }

  /** Connections that its server has now. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Its workload stops; it is awake again for the next connection. */
  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.run.abort();
    this.run = beginRun();
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.server.close();
  }

  async #connect(signal: AbortSignal) {
    const left = new Promise<never>((_, reject) => {
      const refuse = () => reject(Object.assign(new Error('the client left'), { code: 'left' }));
      if (signal.aborted) refuse();
      signal.addEventListener('abort', refuse, { once: true });
    });
    await Promise.race([this.awake, left]);
    this.dials++;
    const { port } = this.server.address() as AddressInfo;
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.pause();
    await once(socket, 'connect');
    return { socket, ended: this.run.signal };
  }
}

/** As that of a workload: each of its connections listens for its end. */
function beginRun(): AbortController {
  const run = new AbortController();
  setMaxListeners(0, run.signal);
  return run;
}

/** A door with services behind it, on real sockets. */
export class WebBed {
  readonly port: number;
  readonly door: WebDoor;
  readonly engine: WebEngine;
  readonly refused: string[] = [];
  readonly unserved: string[] = [];
  readonly served: string[] = [];
  drains = 0;
  readonly #services: readonly WebService[];
  readonly #sockets = new Set<Socket>();

  private constructor(
    port: number,
    {
      services,
      clock = systemClock,
      door,
      parts,
    }: {
      readonly services: readonly WebService[];
      readonly clock?: Clock | undefined;
      readonly door?: Partial<WebDoorOptions> | undefined;
      readonly parts?: Partial<WebEngineParts> | undefined;
    },
  ) {
    this.port = port;
    this.#services = services;
    const relay = createStreamRelay();
    const table = new HostTable<WebRoute>();
    for (const { binding, tally } of services) table.set(`${binding.service}.test`, { binding, tally });
    this.engine = new WebEngine({
      ...{
        clock,
        waiting: new Waiting({ clock }),
        login: { check: () => undefined, close() {} },
        tune: relay.tune,
      },
      join: (sockets, onEnd) => relay.join(sockets, onEnd),
      onRefused: (client) => this.refused.push(client),
      onUnserved: (_client, { error }) => this.unserved.push(String(error)),
      onServed: ({ method, path, status }) => this.served.push(`${method} ${path} ${status}`),
      ...parts,
    });
    this.door = new WebDoor({
      ...{ spec: aListener({ port, address: '127.0.0.1' }), engine: this.engine, relay, clock },
      ...{ name: 'door', keepAliveMs: 60_000, findRoute: (host) => table.find(host), isTrusted: () => false },
      ...{ hasComeBack: () => false, onAcceptError: () => {}, onRefused: () => {} },
      onDrained: () => this.drains++,
      ...door,
    });
  }

  static async open(
    services: readonly BedService[],
    options: {
      readonly clock?: Clock;
      readonly door?: Partial<WebDoorOptions>;
      readonly parts?: Partial<WebEngineParts>;
    } = {},
  ): Promise<WebBed> {
    const made = services.map((service) => new WebService(service));
    for (const { server } of made) {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
    }
    const bed = new WebBed(await freePort(), { ...options, services: made });
    await bed.door.open();
    return bed;
  }

  service(name: string): WebService {
    const found = this.#services.find(({ binding }) => binding.service === name);
    if (found === undefined) throw new Error(`no service ${name}`);
    return found;
  }

  /** A connection to the door. */
  async connect(): Promise<Socket> {
    const socket = connect({ port: this.port, host: '127.0.0.1', allowHalfOpen: true });
    this.#sockets.add(socket.on('error', () => {}));
    await once(socket, 'connect');
    return socket;
  }

  /** Sends this, and returns everything that comes until the connection ends. */
  async exchange(text: string): Promise<string> {
    const socket = await this.connect();
    socket.write(text, 'latin1');
    return readAll(socket);
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.door.destroy();
    this.engine.close();
    for (const service of this.#services) service.close();
  }
}

/** Everything that comes until the connection ends, or breaks. */
export async function readAll(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.once('end', () => socket.end());
  if (!socket.closed) await once(socket, 'close').catch(() => {});
  return Buffer.concat(chunks).toString('latin1');
}

/** What comes until it matches. */
export function readUntil(socket: Socket, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const take = (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (!pattern.test(text)) return;
      socket.off('data', take).off('close', fail);
      resolve(text);
    };
    const fail = () => reject(new Error(`closed after ${JSON.stringify(text)}`));
    socket.on('data', take).once('close', fail);
  });
}

/** A request on a connection that is closed afterwards. */
export function aRequest(host: string, { method = 'GET', path = '/', headers = '', body = '' } = {}): string {
  return `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${headers}\r\n${body}`;
}
