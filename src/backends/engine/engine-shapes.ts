/**
 * The fields of the engine's answers that the proxy reads. They are optional: engines from API 1.41 to 1.56 leave out
 * different ones. Whoever reads a field decides what its absence means.
 */

/** One entry of `GET /containers/json`. */
export interface ListedContainer {
  readonly Id: string;
  readonly ImageID?: string;
  /** Seconds since the epoch. */
  readonly Created?: number;
  readonly Names?: readonly string[] | null;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly State?: string;
  /** For people, for example `Exited (137) 2 hours ago`. */
  readonly Status?: string;
  readonly HostConfig?: { readonly NetworkMode?: string };
  readonly NetworkSettings?: {
    readonly Networks?: Readonly<Record<string, InspectedEndpoint | null>> | null;
  };
}

/** The answer of `GET /containers/{id}/stats`. */
export interface ContainerStats {
  readonly memory_stats?: {
    /** In bytes. */
    readonly usage?: number;
    /** `inactive_file` in version 2 of control groups, `total_inactive_file` in version 1. */
    readonly stats?: { readonly inactive_file?: number; readonly total_inactive_file?: number } | null;
  };
}

/** The answer of `GET /containers/{id}/json`. */
export interface InspectedContainer {
  readonly Id: string;
  readonly Name?: string;
  /** RFC 3339. */
  readonly Created?: string;
  /** The image's id. */
  readonly Image?: string;
  readonly State?: InspectedState;
  /** How often the engine has started it again by itself. */
  readonly RestartCount?: number;
  readonly Config?: {
    readonly Hostname?: string;
    /** As whoever made the container named it. */
    readonly Image?: string;
    /** By `80/tcp`, the ports that the image or whoever made the container declares. */
    readonly ExposedPorts?: Readonly<Record<string, unknown>> | null;
    /** In seconds; negative = never killed. */
    readonly StopTimeout?: number | null;
    readonly Tty?: boolean;
    readonly Labels?: Readonly<Record<string, string>> | null;
    readonly Healthcheck?: InspectedHealthcheck | null;
  };
  readonly HostConfig?: {
    readonly NetworkMode?: string;
    /** In bytes; 0 = no limit. */
    readonly Memory?: number;
    /** `--rm`: the engine removes it when it stops. */
    readonly AutoRemove?: boolean;
    /** By `80/tcp`, the ports of the machine that lead there while it runs. */
    readonly PortBindings?: InspectedPorts | null;
  };
  readonly NetworkSettings?: {
    readonly Networks?: Readonly<Record<string, InspectedEndpoint | null>> | null;
    /** While it runs: where the ports of `PortBindings` are in truth. */
    readonly Ports?: InspectedPorts | null;
  };
}

/** By `80/tcp`, where on the machine a port is; `HostPort` may be absent, empty, 0 or a range, and the engine chooses one then. */
export type InspectedPorts = Readonly<
  Record<string, readonly { readonly HostIp?: string; readonly HostPort?: string }[] | null>
>;

/** The answer of `GET /images/{id}/json`. */
export interface InspectedImage {
  readonly Config?: { readonly Labels?: Readonly<Record<string, string>> | null } | null;
}

/** Times in ns; 0 or absent = the engine's default. */
export interface InspectedHealthcheck {
  readonly Test?: readonly string[] | null;
  readonly Interval?: number;
  readonly Timeout?: number;
  readonly StartPeriod?: number;
  /** From API 1.44 on. */
  readonly StartInterval?: number;
  readonly Retries?: number;
}

export interface InspectedState {
  readonly Status?: string;
  readonly Running?: boolean;
  readonly Paused?: boolean;
  readonly Restarting?: boolean;
  readonly OOMKilled?: boolean;
  readonly ExitCode?: number;
  readonly Error?: string;
  /** RFC 3339; in the year 1 where it never ran. */
  readonly StartedAt?: string;
  readonly Health?: {
    readonly Status?: string;
    /** The last results of the check, oldest first. */
    readonly Log?: readonly { readonly Output?: string }[] | null;
  } | null;
}

/** A container's place on one network; addresses are `''` while it has none. */
export interface InspectedEndpoint {
  /** `''` in a container that never ran. */
  readonly NetworkID?: string;
  readonly Gateway?: string;
  readonly IPv6Gateway?: string;
  readonly DriverOpts?: Readonly<Record<string, string>> | null;
  readonly IPAddress?: string;
  readonly GlobalIPv6Address?: string;
  /** The addresses that it is configured to have, also while it is asleep. */
  readonly IPAMConfig?: EndpointAddresses | null;
}

export interface EndpointAddresses {
  readonly IPv4Address?: string;
  readonly IPv6Address?: string;
}

/** The answer of `GET /networks/{id}`. */
export interface InspectedNetwork {
  readonly Driver?: string;
  readonly IPAM?: {
    readonly Config?:
      | readonly {
          readonly Subnet?: string;
          /** The part of the subnet that the engine hands out; `''` = all of it. */
          readonly IPRange?: string;
          readonly Gateway?: string;
          readonly AuxiliaryAddresses?: Readonly<Record<string, string>> | null;
        }[]
      | null;
  };
  /** Those that run, by id; addresses with the length of their prefix. */
  readonly Containers?: Readonly<Record<string, EndpointAddresses>> | null;
}
