import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EngineAnswers, type EngineShape, networkId, type ScriptedContainer } from './engine-answers.ts';
import { settle } from './fake-clock.ts';

/** What a request does instead of what it should; the first script whose pattern matches counts. */
interface Script {
  readonly pattern: RegExp;
  readonly act: (response: ServerResponse, line: string) => void;
}

/** Turns of the event loop without a byte between the engine and its clients, who are in this process. */
const QUIET_TURNS = 20;
/** What a container gets on a network that asks for no address. */
const FIRST_ADDRESS = '198.18.64.9';

/**
 * An engine that does on demand what a real one can't be brought to do: hangs, breaks off, tells events in pieces,
 * goes away. Speaks the part of the API that the docker backend uses, on a unix socket. Whoever starts it closes it.
 */
export class ScriptedEngine {
  readonly socketPath: string;
  /** `GET /containers/json?all=1` …, oldest first. */
  readonly requests: string[] = [];
  readonly #folder: string;
  readonly #answers: EngineAnswers;
  readonly #containers = new Map<string, ScriptedContainer>();
  readonly #subscribers = new Set<ServerResponse>();
  readonly #sockets = new Set<Socket>();
  readonly #scripts = new Set<Script>();
  readonly #arrivals = new Set<() => void>();
  readonly #bodies = new WeakMap<ServerResponse, string>();
  readonly #networks = new Set<string>(['bridge', 'n1']);
  #server: Server | undefined;
  #created = 0;
  #isFrozen = false;
  /** Grows with each thing that is asked, answered or told. */
  #activity = 0;
  readonly #past: string[] = [];

  static async start(shape: EngineShape = '1.56'): Promise<ScriptedEngine> {
    const folder = await mkdtemp(join(tmpdir(), 'engine-'));
    const engine = new ScriptedEngine({ folder, answers: new EngineAnswers(shape) });
    await engine.comeBack();
    return engine;
  }

  constructor(options: { readonly folder: string; readonly answers: EngineAnswers }) {
    this.#folder = options.folder;
    this.#answers = options.answers;
    this.socketPath = join(options.folder, 'engine.sock');
  }

  /** Adds a container at rest, or whatever `fields` say, and tells its creation. */
  create(name: string, fields: Partial<ScriptedContainer> = {}): ScriptedContainer {
    const id = `c${(++this.#created).toString(16).padStart(63, '0')}`;
    const rest = {
      labels: {},
      status: 'created',
      exitCode: 0,
      health: undefined,
      healthcheck: undefined,
    } as const;
    const place = { networkMode: 'n1', ipv4: '198.18.64.2', ipv6: '', joined: new Map() };
    const container: ScriptedContainer = { id, name, ...rest, ...place, ...fields };
    this.#containers.set(id, container);
    this.#networks.add(container.networkMode);
    this.emit(container, 'create');
    return container;
  }

  /** Changes a container as the engine would by itself, and tells `action`. */
  change(container: ScriptedContainer, action: string, fields: Partial<ScriptedContainer>): void {
    Object.assign(container, fields);
    this.emit(container, action);
  }

  /** The network is no longer there. */
  removeNetwork(name: string): void {
    this.#networks.delete(name);
  }

  /** Puts a container on a network, or takes it off, as somebody else would, and tells it. */
  attach(container: ScriptedContainer, network: string): void {
    container.joined.set(network, {});
    this.#tellNetwork(container, { action: 'connect', network });
  }

  detach(container: ScriptedContainer, network: string): void {
    container.joined.delete(network);
    this.#tellNetwork(container, { action: 'disconnect', network });
  }

  remove(container: ScriptedContainer): void {
    this.#containers.delete(container.id);
    this.emit(container, 'destroy');
  }

  /** Tells one event of a container, or of its network, to all who listen. */
  emit(container: ScriptedContainer, action: string): void {
    this.write(this.eventLine(container, action));
  }

  /** One event as it goes over the wire, newline included. */
  eventLine(container: ScriptedContainer, action: string): string {
    return `${JSON.stringify(this.#answers.event(container, { action }))}\n`;
  }

  /** Sends raw bytes down every event stream. */
  write(bytes: string | Uint8Array): void {
    if (typeof bytes === 'string') this.#past.push(bytes);
    if (this.#isFrozen) return;
    this.#activity++;
    for (const response of this.#subscribers) response.write(bytes);
  }

  /** Every event stream stays open, and carries nothing more. */
  freezeEvents(): void {
    this.#isFrozen = true;
  }

  /** Ends every event stream, and nothing else. */
  endEvents(): void {
    for (const response of this.#subscribers) response.end();
  }

  /** Requests that match get no answer until the returned function is called. */
  hang(pattern: RegExp): () => void {
    const held: (() => void)[] = [];
    const act = (response: ServerResponse, line: string) => held.push(() => this.#answer(line, response));
    const remove = this.#script({ pattern, act });
    return () => {
      remove();
      for (const answer of held) answer();
    };
  }

  /** Requests that match are carried out, and never answered, until the returned function is called. */
  swallow(pattern: RegExp): () => void {
    const act = (response: ServerResponse, line: string) => {
      const lost = new ServerResponse(response.req);
      this.#bodies.set(lost, this.#bodies.get(response) ?? '');
      this.#perform(line, lost);
    };
    return this.#script({ pattern, act });
  }

  /** Requests that match are refused until the returned function is called, or so many `times`. */
  refuse(
    pattern: RegExp,
    answer: { readonly status: number; readonly message: string; readonly times?: number },
  ): () => void {
    let left = answer.times ?? Number.POSITIVE_INFINITY;
    const remove = this.#script({
      pattern,
      act: (response) => {
        if (--left <= 0) remove();
        send(response, answer.status, { message: answer.message });
      },
    });
    return remove;
  }

  /** Requests that match get this answer until the returned function is called. */
  answer(pattern: RegExp, body: unknown): () => void {
    return this.#script({ pattern, act: (response) => send(response, 200, body) });
  }

  /** Requests that match get half an answer, and the connection breaks, until the returned function is called. */
  breakOff(pattern: RegExp): () => void {
    const act = (response: ServerResponse) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 });
      response.write('{"Id":', () => response.destroy());
    };
    return this.#script({ pattern, act });
  }

  /** The next request that matches is answered with 101, and then nothing. */
  switchProtocolsOnce(pattern: RegExp): void {
    const remove = this.#script({
      pattern,
      act: (response) => {
        remove();
        response.socket?.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n',
        );
      },
    });
  }

  /** Resolves when a request that matches has arrived, now or earlier. */
  async requested(pattern: RegExp): Promise<void> {
    while (!this.requests.some((request) => pattern.test(request))) {
      await new Promise<void>((resolve) => this.#arrivals.add(resolve));
    }
  }

  /** Resolves when so many requests that match have arrived. */
  async requestedTimes(pattern: RegExp, times: number): Promise<void> {
    while (this.count(pattern) < times) {
      await new Promise<void>((resolve) => this.#arrivals.add(resolve));
    }
  }

  /** Resolves when all has followed from what was done that needs no timer: nothing is asked, answered or told any more. */
  async quiet(): Promise<void> {
    for (let turns = 0, before = this.#activity; turns < QUIET_TURNS; turns++) {
      await settle();
      if (this.#activity !== before) turns = 0;
      before = this.#activity;
    }
  }

  /** Forgets what was requested so far. */
  forget(): void {
    this.requests.length = 0;
  }

  count(pattern: RegExp): number {
    return this.requests.filter((request) => pattern.test(request)).length;
  }

  /** Every connection breaks and new ones are refused, as when the engine is stopped. */
  async goAway(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async comeBack(): Promise<void> {
    const server = createServer((request, response) => this.#receive(request, response));
    server.on('connection', (socket) => {
      this.#activity++;
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    this.#server = server;
    server.listen(this.socketPath);
    await once(server, 'listening');
  }

  async close(): Promise<void> {
    await this.goAway();
    await rm(this.#folder, { recursive: true, force: true });
  }

  #script(script: Script): () => void {
    this.#scripts.add(script);
    return () => this.#scripts.delete(script);
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    const line = `${request.method} ${decodeURIComponent(request.url ?? '')}`;
    this.requests.push(line);
    this.#activity++;
    response.once('finish', () => this.#activity++);
    for (const arrived of this.#arrivals) arrived();
    this.#arrivals.clear();
    response.on('error', () => {});
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.once('end', () => {
      this.#bodies.set(response, Buffer.concat(chunks).toString());
      this.#answer(line, response);
    });
  }

  #answer(line: string, response: ServerResponse): void {
    const script = [...this.#scripts].find(({ pattern }) => pattern.test(line));
    if (script !== undefined) return script.act(response, line);
    this.#perform(line, response);
  }

  #perform(line: string, response: ServerResponse): void {
    if (/^GET \/events.*until=/.test(line)) return void response.end(this.#past.join(''));
    if (line.startsWith('GET /events')) return this.#subscribe(response);
    if (line.startsWith('GET /_ping')) return void response.end('OK');
    if (line.startsWith('GET /containers/json'))
      return send(
        response,
        200,
        [...this.#containers.values()].map((container) => this.#answers.listed(container)),
      );
    if (line.startsWith('GET /networks/'))
      return send(response, 200, { Driver: 'bridge', IPAM: { Config: [{ Subnet: '198.18.64.0/24' }] } });
    if (line.startsWith('POST /networks/')) return this.#changeNetwork(line, response);
    const [, name = '', action = ''] = /^\w+ \/containers\/([^/]+)\/(\w+)/.exec(line) ?? [];
    const container = this.#find(name);
    if (container === undefined) return send(response, 404, { message: `No such container: ${name}` });
    if (action === 'json') return send(response, 200, this.#answers.inspected(container));
    this.#act(container, { action, response });
  }

  #changeNetwork(line: string, response: ServerResponse): void {
    const [, target = '', action = ''] = /^POST \/networks\/([^/]+)\/(\w+)/.exec(line) ?? [];
    const { Container, EndpointConfig } = JSON.parse(this.#bodies.get(response) ?? '{}');
    const network = [...this.#networks].find((name) => name === target || networkId(name) === target);
    const container = this.#find(Container);
    if (network === undefined || container === undefined)
      return send(response, 404, { message: `network ${target} not found` });
    const isOn = container.networkMode === network || container.joined.has(network);
    const words = { message: 'words that differ between engines' };
    if (action === 'connect') {
      if (isOn) return send(response, 403, words);
      const { DriverOpts, IPAMConfig } = EndpointConfig;
      const IPAddress = IPAMConfig?.IPv4Address ?? FIRST_ADDRESS;
      container.joined.set(network, { DriverOpts, IPAMConfig, IPAddress });
    } else {
      if (!isOn) return send(response, 500, words);
      container.joined.delete(network);
    }
    this.#tellNetwork(container, { action, network });
    send(response, 200);
  }

  #tellNetwork(
    container: ScriptedContainer,
    details: { readonly action: string; readonly network: string },
  ): void {
    this.write(`${JSON.stringify(this.#answers.event(container, details))}\n`);
  }

  #subscribe(response: ServerResponse): void {
    this.#isFrozen = false;
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    this.#subscribers.add(response);
    response.on('close', () => this.#subscribers.delete(response));
  }

  /** Ids and their beginnings count as names, as the real engine has it. */
  #find(name: string): ScriptedContainer | undefined {
    const all = [...this.#containers.values()];
    return (
      all.find((container) => container.name === name) ??
      all.find((container) => container.id.startsWith(name))
    );
  }

  #act(
    container: ScriptedContainer,
    call: { readonly action: string; readonly response: ServerResponse },
  ): void {
    const { action, response } = call;
    const isUp = container.status === 'running' || container.status === 'paused';
    const conflict = { message: 'words that differ between engines' };
    if (action === 'start') {
      if (container.status === 'paused') return send(response, 409, conflict);
      if (isUp) return send(response, 304);
      this.change(container, 'start', { status: 'running' });
    } else if (action === 'stop') {
      if (!isUp) return send(response, 304);
      this.change(container, 'die', { status: 'exited', exitCode: 0 });
    } else if (action === 'unpause') {
      if (container.status !== 'paused') return send(response, 500, conflict);
      this.change(container, 'unpause', { status: 'running' });
    }
    send(response, 204);
  }
}

function send(response: ServerResponse, status: number, body?: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}
