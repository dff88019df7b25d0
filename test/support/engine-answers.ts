import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** API 1.41 is engine 20.10, 1.56 is engine 29.8; the first was recorded, the second follows the engine's changes. */
export type EngineShape = '1.41' | '1.56';

/** One container of the script; the test may change it, and emits the events itself where no method does. */
export interface ScriptedContainer {
  id: string;
  name: string;
  labels: Record<string, string>;
  status: 'created' | 'running' | 'paused' | 'restarting' | 'exited' | 'removing';
  exitCode: number;
  /** Undefined = the engine tells no health. */
  health: string | undefined;
  healthcheck: readonly string[] | undefined;
  networkMode: string;
  ipv4: string;
  ipv6: string;
  /** Joined beside the one of `networkMode`: what it was joined with, by the network's name. */
  joined: Map<string, JoinedEndpoint>;
  /** The fixed address on its own network. */
  fixed?: string;
  /** Absent = as it was recorded. */
  startedAt?: string;
}

/** What a container was put on a network with, and the address that it has there. */
export interface JoinedEndpoint {
  readonly DriverOpts?: Readonly<Record<string, string>>;
  readonly IPAMConfig?: Readonly<Record<string, string>>;
  readonly IPAddress?: string;
}

/** The id of the network of that name. */
export function networkId(name: string): string {
  return Buffer.from(name).toString('hex').padEnd(64, '0');
}

// biome-ignore lint/suspicious/noExplicitAny: the engine's JSON, patched in place
type Json = any;

/** The engine's answers about scripted containers, made from recorded ones. */
export class EngineAnswers {
  readonly #shape: EngineShape;

  constructor(shape: EngineShape) {
    this.#shape = shape;
  }

  /** @param network of a `connect` or `disconnect`; default: the one of `networkMode`. */
  event(
    container: ScriptedContainer,
    { action, network = container.networkMode }: { readonly action: string; readonly network?: string },
  ): Json {
    const event = this.#template('event');
    const isNetwork = action === 'connect' || action === 'disconnect';
    const ofNetwork = { container: container.id, name: network, type: 'bridge' };
    event.Type = isNetwork ? 'network' : 'container';
    event.timeNano = Date.now() * 1e6;
    event.Action = action;
    event.Actor.ID = isNetwork ? networkId(network) : container.id;
    event.Actor.Attributes = isNetwork
      ? ofNetwork
      : { ...container.labels, image: 'bb', name: container.name };
    if ('status' in event) Object.assign(event, { status: action, id: event.Actor.ID });
    return event;
  }

  /** An entry of `GET /containers/json`. */
  listed(container: ScriptedContainer): Json {
    const entry = this.#template('list');
    const { id, name, labels, status, exitCode } = container;
    const text = status === 'exited' ? `Exited (${exitCode}) 2 hours ago` : 'Up 2 seconds';
    Object.assign(entry, { Id: id, Names: [`/${name}`], Labels: labels, State: status, Status: text });
    entry.HostConfig.NetworkMode = container.networkMode;
    entry.NetworkSettings.Networks = this.#networksOf(container, entry);
    if ('Health' in entry) entry.Health.Status = container.health ?? 'none';
    return entry;
  }

  /** The answer of `GET /containers/{id}/json`. */
  inspected(container: ScriptedContainer): Json {
    const answer = this.#template('inspect');
    const { status, exitCode, health, healthcheck, networkMode } = container;
    const isUp = ['running', 'paused', 'restarting'].includes(status);
    const flags = { Running: isUp, Paused: status === 'paused', Restarting: status === 'restarting' };
    Object.assign(answer, { Id: container.id, Name: `/${container.name}` });
    Object.assign(answer.State, flags, { Status: status, ExitCode: exitCode });
    if (container.startedAt !== undefined) answer.State.StartedAt = container.startedAt;
    if (health === undefined) delete answer.State.Health;
    else answer.State.Health.Status = health;
    answer.Config.Labels = container.labels;
    if (healthcheck === undefined) delete answer.Config.Healthcheck;
    else answer.Config.Healthcheck.Test = healthcheck;
    answer.HostConfig.NetworkMode = networkMode;
    answer.NetworkSettings.Networks = this.#networksOf(container, answer);
    return answer;
  }

  #networksOf(container: ScriptedContainer, { NetworkSettings }: Json): Json {
    const { networkMode, status, joined, ipv4, ipv6 } = container;
    const isUp = ['running', 'paused', 'restarting'].includes(status);
    const addresses = { IPAddress: isUp ? ipv4 : '', GlobalIPv6Address: isUp ? ipv6 : '' };
    const entries = (networkMode.startsWith('container:') ? [] : [networkMode]).concat([...joined.keys()]);
    return Object.fromEntries(
      entries.map((name) => {
        const NetworkID = status === 'created' ? '' : networkId(name);
        const gateway = isUp && networkMode !== 'host' && networkMode !== 'none' ? {} : { Gateway: '' };
        const fixed = name === networkMode &&
          container.fixed && { IPAMConfig: { IPv4Address: container.fixed } };
        const endpoint = { ...NetworkSettings.Networks.n1, NetworkID, ...addresses, ...gateway, ...fixed };
        return [name, { ...endpoint, ...joined.get(name) }];
      }),
    );
  }

  #template(name: 'list' | 'inspect' | 'event'): Json {
    const file = join(import.meta.dirname, `../backends/docker/fixtures/${name}-${this.#shape}.json`);
    return JSON.parse(readFileSync(file, 'utf8'));
  }
}
