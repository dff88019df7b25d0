import type { Container, ContainerCreateOptions, ContainerInspectInfo } from 'dockerode';

/** A container as a test wants it; what is absent is left to the engine. */
export interface ContainerSpec {
  /** The exact name; take one from `scope.name()`. */
  readonly name: string;
  /** Default: the busybox image. */
  readonly image?: string;
  readonly cmd?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly stopTimeoutSecs?: number;
  readonly stopSignal?: string;
  readonly healthcheck?: {
    readonly test: readonly string[];
    readonly intervalMs: number;
    readonly startPeriodMs?: number;
    readonly retries?: number;
  };
  /** Names of user-defined networks to join; none = the default bridge. */
  readonly networks?: readonly string[];
  /** The fixed address on the first of `networks`. */
  readonly address?: string;
  /** `host`, `none`, `container:<name>`; not beside `networks`. */
  readonly networkMode?: string;
  /** As with `--rm`. */
  readonly autoRemove?: boolean;
  /** For example `on-failure`. */
  readonly restartPolicy?: string;
  /** `/path/on/host:/path/inside[:ro]` */
  readonly binds?: readonly string[];
  /** TCP ports of the machine that it takes for itself, by its own port: `{ 7: 9210 }`. */
  readonly publish?: Readonly<Record<number, number>>;
  /** What it may use, without any swap. */
  readonly memoryBytes?: number;
  /** `<user id>:<group id>`; default: the image's. */
  readonly user?: string;
}

/** A container of a test: what a test does to it behind the proxy's back. */
export interface TestContainer {
  readonly id: string;
  readonly name: string;
  start(): Promise<void>;
  /** @param graceSecs default: the container's own. */
  stop(graceSecs?: number): Promise<void>;
  kill(signal?: NodeJS.Signals): Promise<void>;
  restart(): Promise<void>;
  pause(): Promise<void>;
  unpause(): Promise<void>;
  rename(name: string): Promise<void>;
  /** By force. */
  remove(): Promise<void>;
  inspect(): Promise<ContainerInspectInfo>;
  /** `running`, `exited`, `created`, `paused` … */
  state(): Promise<string>;
  /** When it was last started, as the engine tells it. */
  startedAt(): Promise<string>;
  /** Its IPv4 addresses, else its IPv6 addresses, one per network. */
  addresses(): Promise<string[]>;
  /** What it printed so far. */
  logs(): Promise<string>;
}

const NANOSECONDS_PER_MS = 1e6;

/** The engine's own form of a specification; networks beyond the first are joined afterwards. */
export function toCreateOptions(
  spec: ContainerSpec,
  defaults: { readonly image: string; readonly labels: Readonly<Record<string, string>> },
): ContainerCreateOptions {
  const { cmd, stopTimeoutSecs, stopSignal, healthcheck, restartPolicy, binds, memoryBytes, user } = spec;
  const networkMode = spec.networks?.[0] ?? spec.networkMode;
  return {
    name: spec.name,
    Image: spec.image ?? defaults.image,
    Env: Object.entries(spec.env ?? {}).map(([name, value]) => `${name}=${value}`),
    Labels: { ...spec.labels, ...defaults.labels },
    ...(cmd && { Cmd: [...cmd] }),
    ...(stopTimeoutSecs !== undefined && { StopTimeout: stopTimeoutSecs }),
    ...(user && { User: user }),
    ...(stopSignal && { StopSignal: stopSignal }),
    ...(healthcheck && { Healthcheck: toHealthcheck(healthcheck) }),
    ...(spec.address && {
      NetworkingConfig: {
        EndpointsConfig: {
          [spec.networks?.[0] ?? '']: {
            IPAMConfig: { [spec.address.includes(':') ? 'IPv6Address' : 'IPv4Address']: spec.address },
          },
        },
      },
    }),
    HostConfig: {
      ...(networkMode && { NetworkMode: networkMode }),
      ...(spec.autoRemove && { AutoRemove: true }),
      ...(restartPolicy && { RestartPolicy: { Name: restartPolicy } }),
      ...(binds && { Binds: [...binds] }),
      ...(memoryBytes && { Memory: memoryBytes, MemorySwap: memoryBytes }),
      ...(spec.publish && {
        PortBindings: Object.fromEntries(
          Object.entries(spec.publish).map(([own, port]) => [`${own}/tcp`, [{ HostPort: String(port) }]]),
        ),
      }),
    },
  };
}

function toHealthcheck(healthcheck: NonNullable<ContainerSpec['healthcheck']>) {
  return {
    Test: [...healthcheck.test],
    Interval: healthcheck.intervalMs * NANOSECONDS_PER_MS,
    Timeout: 5_000 * NANOSECONDS_PER_MS,
    StartPeriod: (healthcheck.startPeriodMs ?? 0) * NANOSECONDS_PER_MS,
    Retries: healthcheck.retries ?? 3,
  };
}

/** Wraps the engine client's handle in the few things that tests do. */
export function wrapContainer(container: Container, name: string): TestContainer {
  const inspect = () => container.inspect();
  const call = async (request: Promise<unknown>) => {
    await request;
  };
  return {
    id: container.id,
    name,
    inspect,
    start: () => call(container.start()),
    stop: (graceSecs) => call(container.stop(graceSecs === undefined ? {} : { t: graceSecs })),
    kill: (signal = 'SIGKILL') => call(container.kill({ signal })),
    restart: () => call(container.restart({ t: 0 })),
    pause: () => call(container.pause()),
    unpause: () => call(container.unpause()),
    rename: (newName) => call(container.rename({ name: newName })),
    remove: () => call(container.remove({ force: true, v: true })),
    state: async () => (await inspect()).State.Status,
    startedAt: async () => (await inspect()).State.StartedAt,
    addresses: async () => listAddresses(await inspect()),
    logs: async () => demultiplex(await container.logs({ stdout: true, stderr: true })),
  };
}

function listAddresses(info: ContainerInspectInfo): string[] {
  const networks = Object.values(info.NetworkSettings.Networks ?? {});
  return networks
    .map((network) => network.IPAddress || network.GlobalIPv6Address)
    .filter((address) => address !== '');
}

/** The engine sends stdout and stderr in frames: one byte which, three empty, four of length. */
function demultiplex(raw: Buffer): string {
  const parts: Buffer[] = [];
  for (let at = 0; at + 8 <= raw.length; ) {
    const length = raw.readUInt32BE(at + 4);
    parts.push(raw.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  return Buffer.concat(parts).toString();
}
