/**
 * Makes the containers of an example, or of a Compose file in the documentation, as `docker compose create` does, through the engine's API. What differs: names begin with
 * the scope's, labels have a prefix of the scope's, images are stand-ins, nothing is published on the machine, and idle
 * timeouts are a second.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { ContainerCreateOptions } from 'dockerode';
import { parse as parseYaml } from 'yaml';
import { parseDuration } from '../../../src/config/values/duration.ts';
import { type ConfigFolder, createConfigFolder } from './config-folder.ts';
import { type TestContainer, wrapContainer } from './container.ts';
import { type Scope, SCOPE_LABEL } from './engine.ts';
import { runLabels } from './engine-address.ts';
import { nodeImage } from './image.ts';
import { engineSocket, type ProxyContainer, waitForProxy } from './proxy-container.ts';
import { STAND_INS } from './stand-ins.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const PROXY = 'lazy-proxy';
const LABEL_PREFIX = 'lazy-proxy.';
const IDLE_TIMEOUT = '1s';
const NANOSECONDS_PER_MS = 1e6;
/** From this version of the API on, engines ask health checks more often during the start. */
const START_INTERVAL_API = 44;

interface ComposeHealthcheck {
  readonly test?: readonly string[];
  readonly disable?: boolean;
  readonly interval?: string;
  readonly start_period?: string;
  readonly start_interval?: string;
  readonly retries?: number;
}
interface ComposeService {
  readonly image: string;
  readonly container_name?: string;
  readonly restart?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly labels?: Readonly<Record<string, string>> | readonly string[];
  readonly volumes?: readonly string[];
  readonly networks?: readonly string[];
  readonly stop_grace_period?: string;
  readonly healthcheck?: ComposeHealthcheck;
}
interface ConfigFile {
  readonly services?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export interface ComposeProject {
  readonly proxy: ProxyContainer;
  /** The container of a service of compose.yaml. */
  container(service: string): TestContainer;
  /** Removes the temporary configuration; the scope removes the rest. */
  remove(): Promise<void>;
}

/** What a project is made of. */
export interface ProjectSource {
  readonly name: string;
  /** Where files that it mounts are. */
  readonly folder: string;
  /** The text of compose.yaml. */
  readonly compose: string;
  /** The text of config/lazy-proxy.yaml; undefined = there is none. */
  readonly config?: string | undefined;
}

/** Starts the project in `examples/<name>/`. */
export async function startExample(scope: Scope, name: string): Promise<ComposeProject> {
  const folder = path.join(ROOT, 'examples', name);
  const compose = await readFile(path.join(folder, 'compose.yaml'), 'utf8');
  const config = await readFile(path.join(folder, 'config/lazy-proxy.yaml'), 'utf8').catch(() => undefined);
  return await startProject(scope, { name, folder, compose, config });
}

/** Creates everything in a Compose file, starts the proxy alone, and resolves once it is ready. */
export async function startProject(scope: Scope, source: ProjectSource): Promise<ComposeProject> {
  const { name, folder } = source;
  const { services } = parseYaml(source.compose) as {
    readonly services: Readonly<Record<string, ComposeService>>;
  };
  const project = scope.name(name);
  const networks = new Set(Object.values(services).flatMap(networksOf));
  for (const network of networks) await scope.createNetwork({ name: `${project}_${network}` });
  const config = await copyConfig(scope, source.config);
  const hasStartInterval =
    Number((await scope.docker.version()).ApiVersion.split('.')[1]) >= START_INTERVAL_API;
  const containers = new Map<string, TestContainer>();
  for (const [service, spec] of Object.entries(services)) {
    const isProxy = spec.image === PROXY;
    const containerName = scope.name(spec.container_name ?? `${name}-${service}-1`);
    const options: ContainerCreateOptions = {
      name: containerName,
      Image: await findImage(spec.image),
      Env: Object.entries(spec.environment ?? {}).map(([key, value]) => `${key}=${value}`),
      Labels: { ...scopedLabels(spec, scope), ...runLabels(), [SCOPE_LABEL]: scope.prefix },
      ...(spec.command && { Cmd: [...spec.command] }),
      ...(spec.stop_grace_period && { StopTimeout: toMs(spec.stop_grace_period) / 1_000 }),
      ...(spec.healthcheck && { Healthcheck: toHealthcheck(spec.healthcheck, { hasStartInterval }) }),
      HostConfig: {
        NetworkMode: `${project}_${networksOf(spec)[0]}`,
        RestartPolicy: { Name: spec.restart ?? 'no' },
        Binds: (spec.volumes ?? []).map((volume) =>
          toBind(volume, { project, folder, config: config?.folder }),
        ),
      },
      NetworkingConfig: {
        EndpointsConfig: { [`${project}_${networksOf(spec)[0]}`]: { Aliases: [service] } },
      },
    };
    const container = await scope.docker.createContainer(isProxy ? asProxy(options, scope) : options);
    containers.set(service, wrapContainer(container, containerName));
  }
  const proxy = containers.get('proxy');
  if (proxy === undefined) throw new Error(`${name} has no service "proxy"`);
  await proxy.start();
  return {
    proxy: await waitForProxy(proxy),
    container(service) {
      const container = containers.get(service);
      if (container === undefined) throw new Error(`${name} has no service "${service}"`);
      return container;
    },
    remove: async () => await config?.remove(),
  };
}

/** The built program in the place of the image that is made of it, which takes minutes to make. */
function asProxy(options: ContainerCreateOptions, scope: Scope): ContainerCreateOptions {
  return {
    ...options,
    Env: [...(options.Env ?? []), 'LOG_FORMAT=json', 'LOG_LEVEL=debug'],
    Entrypoint: ['node', '/app/dist/main.js'],
    Cmd: ['--label-prefix', scope.prefix],
    HostConfig: { ...options.HostConfig, Binds: [...(options.HostConfig?.Binds ?? []), `${ROOT}:/app:ro`] },
  };
}

async function findImage(image: string): Promise<string> {
  if (image === PROXY) return await nodeImage();
  const [name = ''] = image.split(':');
  const make = STAND_INS[name];
  if (make === undefined) throw new Error(`nothing stands in for ${image}`);
  return await make();
}

/** Each service names its container, which has another name here; undefined where there is no file. */
async function copyConfig(scope: Scope, text: string | undefined): Promise<ConfigFolder | undefined> {
  if (text === undefined) return undefined;
  const file = parseYaml(text, { merge: true }) as ConfigFile;
  const services = Object.entries(file.services ?? {}).map(([name, service]) => {
    const container = scope.name(String(service['container'] ?? name));
    return [name, { ...service, container, idle_timeout: IDLE_TIMEOUT }];
  });
  return await createConfigFolder(JSON.stringify({ ...file, services: Object.fromEntries(services) }));
}

function networksOf({ networks = ['default'] }: ComposeService): readonly string[] {
  return networks;
}

function scopedLabels({ labels = {} }: ComposeService, scope: Scope): Record<string, string> {
  const entries = Array.isArray(labels)
    ? (labels as readonly string[]).map((line): [string, string] => {
        const at = line.indexOf('=');
        return [line.slice(0, at), line.slice(at + 1)];
      })
    : Object.entries(labels as Readonly<Record<string, string>>);
  return Object.fromEntries(
    entries.map(([label, value]) => [
      label.replace(LABEL_PREFIX, `${scope.prefix}.`),
      label === `${LABEL_PREFIX}idle-timeout` && value !== '0' ? IDLE_TIMEOUT : value,
    ]),
  );
}

/** A volume of the project, a file of the example, or the engine's socket. */
function toBind(
  volume: string,
  {
    project,
    folder,
    config,
  }: { readonly project: string; readonly folder: string; readonly config: string | undefined },
): string {
  const [source = '', ...rest] = volume.split(':');
  if (source === '/var/run/docker.sock') return [engineSocket(), ...rest].join(':');
  if (source === './config' && config !== undefined) return [config, ...rest].join(':');
  if (source.startsWith('./')) return [path.join(folder, source), ...rest].join(':');
  return [`${project}_${source}`, ...rest].join(':');
}

/** An engine without start intervals is told to ask often, as the examples advise. */
function toHealthcheck(
  healthcheck: ComposeHealthcheck,
  { hasStartInterval }: { readonly hasStartInterval: boolean },
): NonNullable<ContainerCreateOptions['Healthcheck']> {
  const { test = [], disable, interval, start_period, start_interval, retries } = healthcheck;
  if (disable) return { Test: ['NONE'] };
  const nanoseconds = (text: string | undefined) => toMs(text ?? '0') * NANOSECONDS_PER_MS;
  return {
    Test: [...test],
    Interval: nanoseconds(hasStartInterval ? interval : (start_interval ?? interval)),
    StartPeriod: nanoseconds(start_period),
    ...(hasStartInterval && { StartInterval: nanoseconds(start_interval) }),
    ...(retries !== undefined && { Retries: retries }),
  };
}

function toMs(duration: string): number {
  const parsed = parseDuration(duration);
  if (!parsed.ok) throw new Error(`"${duration}" is no duration`);
  return parsed.value;
}
