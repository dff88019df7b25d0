import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServiceSpec, SwarmService, SwarmTask } from '../../../src/backends/swarm/swarm-shapes.ts';

/** An id as swarms make them, which begins as a test names it. */
export function swarmId(text: string): string {
  return text.padEnd(25, '0');
}

/** Of the task's container, by the task's place in `setTasks`. */
export function containerIdOf(index: number): string {
  return index.toString(16).padStart(64, 'c');
}

export const NODE = swarmId('node1');

interface Service {
  id: string;
  version: number;
  spec: ServiceSpec & { readonly Name: string };
  tasks: SwarmTask[];
  endpoint: NonNullable<SwarmService['Endpoint']>;
}

/**
 * A manager of a swarm of one node whose tasks do what the test says; speaks the part of the API that the backend uses,
 * on a unix socket. Whoever starts it closes it.
 */
export class ScriptedSwarm {
  readonly socketPath: string;
  /** `GET /services` …, oldest first. */
  readonly requests: string[] = [];
  isManager = true;
  /** What is told of those of the node, by id; of any other that there is none. */
  readonly containers = new Map<string, object>();
  /** False: a filter before the engine refuses to tell. */
  tellsInfo = true;
  /** Called before an update is taken; a test may change the service here, as somebody else would. */
  beforeUpdate: () => void = () => {};
  readonly #folder: string;
  readonly #services = new Map<string, Service>();
  readonly #subscribers = new Set<ServerResponse>();
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((request, response) => this.#receive(request, response));
  readonly #delayed: { readonly pattern: RegExp; readonly released: Promise<void> }[] = [];
  #created = 0;

  static async start(): Promise<ScriptedSwarm> {
    const swarm = new ScriptedSwarm(await mkdtemp(join(tmpdir(), 'swarm-')));
    swarm.#server.listen(swarm.socketPath);
    await once(swarm.#server, 'listening');
    return swarm;
  }

  constructor(folder: string) {
    this.#folder = folder;
    this.socketPath = join(folder, 'engine.sock');
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  /** A service with port 80 published on 8080 of every node. */
  create(name: string, spec: Partial<ServiceSpec> = {}, id = swarmId(`service${++this.#created}`)): Service {
    const endpoint = {
      Ports: [{ Protocol: 'tcp', TargetPort: 80, PublishedPort: 8080, PublishMode: 'ingress' }],
    };
    const replicated = { Mode: { Replicated: { Replicas: 0 } }, Extra: { kept: 'as it is' } };
    const service = { id, version: 1, spec: { Name: name, ...replicated, ...spec }, tasks: [], endpoint };
    this.#services.set(id, service);
    this.emit(service, 'create');
    return service;
  }

  /** As `docker service update`. */
  change(service: Service, spec: Partial<ServiceSpec>): void {
    const before = replicasOf(service);
    service.spec = { ...service.spec, ...spec };
    service.version += 1;
    const after = replicasOf(service);
    const scaled = before === after ? {} : { 'replicas.old': String(before), 'replicas.new': String(after) };
    this.emit(service, 'update', scaled);
  }

  /** The tasks that the service has from now on; no event tells. */
  setTasks(service: Service, ...tasks: readonly (readonly [state: string, desired: string])[]): void {
    service.tasks = tasks.map(([state, desired], index) => ({
      ...{ ID: swarmId(`task${index}`), ServiceID: service.id, NodeID: NODE, DesiredState: desired },
      Status: { State: state, ContainerStatus: { ContainerID: containerIdOf(index) } },
    }));
  }

  remove(service: Service): void {
    this.#services.delete(service.id);
    this.emit(service, 'remove');
  }

  emit(service: Service, action: string, attributes: Readonly<Record<string, string>> = {}): void {
    const Attributes = { name: service.spec.Name, ...attributes };
    this.write({ Type: 'service', Action: action, Actor: { ID: service.id, Attributes } });
  }

  /** One event, to all who listen. */
  write(event: object): void {
    for (const response of this.#subscribers) response.write(`${JSON.stringify(event)}\n`);
  }

  /** The next answer to such a request is made at once, and arrives when the returned function is called. */
  delayNext(pattern: RegExp): () => void {
    let release = () => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    this.#delayed.push({ pattern, released });
    return release;
  }

  count(pattern: RegExp): number {
    return this.requests.filter((request) => pattern.test(request)).length;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    await rm(this.#folder, { recursive: true, force: true });
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    const line = `${request.method} ${decodeURIComponent(request.url ?? '')}`;
    this.requests.push(line);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.once('end', () => this.#answer(line, { response, body: Buffer.concat(chunks).toString() }));
  }

  #answer(
    line: string,
    { response, body }: { readonly response: ServerResponse; readonly body: string },
  ): void {
    const index = this.#delayed.findIndex(({ pattern }) => pattern.test(line));
    const [delayed] = index < 0 ? [] : this.#delayed.splice(index, 1);
    if (delayed !== undefined) {
      const end = response.end.bind(response);
      response.end = (text?: unknown) => {
        void delayed.released.then(() => end(text));
        return response;
      };
    }
    if (line.startsWith('GET /events')) {
      response.writeHead(200).flushHeaders();
      this.#subscribers.add(response);
      return;
    }
    if (line.startsWith('GET /info') && !this.tellsInfo) return send(response, 403, { message: 'forbidden' });
    if (line.startsWith('GET /info'))
      return send(response, 200, { Swarm: { NodeID: NODE, ControlAvailable: this.isManager } });
    const [, container] = /^GET \/containers\/([^/]+)\/json/.exec(line) ?? [];
    const inspected = this.containers.get(container ?? '');
    if (inspected !== undefined) return send(response, 200, inspected);
    if (/^\w+ \/(?:containers|networks)\//.test(line)) return send(response, 404, { message: 'not found' });
    if (!this.isManager) return send(response, 503, { message: 'This node is not a swarm manager' });
    const services = [...this.#services.values()];
    if (line === 'GET /services') return send(response, 200, services.map(describe));
    const [, filtered] = /^GET \/tasks\?filters=.*"service":\["(\w+)"\]/.exec(line) ?? [];
    if (line.startsWith('GET /tasks')) {
      const asked = services.filter(({ id }) => filtered === undefined || id === filtered);
      return send(
        response,
        200,
        asked.flatMap(({ tasks }) => tasks),
      );
    }
    const [, target] = /^\w+ \/services\/([^/?]+)/.exec(line) ?? [];
    const service = services.find(({ id, spec }) => id === target || spec.Name === target);
    if (service === undefined) return send(response, 404, { message: `service ${target} not found` });
    if (line.startsWith('GET')) return send(response, 200, describe(service));
    this.beforeUpdate();
    if (!line.endsWith(`version=${service.version}`))
      return send(response, 500, { message: 'words that differ between engines' });
    this.change(service, JSON.parse(body));
    send(response, 200, {});
  }
}

function describe({ id, version, spec, endpoint }: Service): SwarmService {
  return { ID: id, Version: { Index: version }, Spec: spec, Endpoint: endpoint };
}

function replicasOf({ spec }: Service): number {
  return spec.Mode?.Replicated?.Replicas ?? 0;
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
