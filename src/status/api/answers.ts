/**
 * What the API answers, as JSON: the renderers make it, commands and the page read it; `schema/openapi.yaml` describes it to others.
 * Times are RFC 3339 in UTC, durations ms. Types alone, so that the page loads nothing of the program.
 */
import type { Wake, WakePhase } from '../../model/running/wake.ts';
import type { SleepKind } from '../../model/running/sleep.ts';
import type { Life } from '../../model/running/workload-report.ts';

/** `GET /api` */
export interface AboutAnswer {
  readonly version: string;
  readonly phase: 'starting' | 'serving' | 'draining';
  readonly uptime_ms: number;
  /** Whether there is a token, without which nothing can be changed, nor read what is hidden. */
  readonly has_token: boolean;
  readonly engines: readonly {
    readonly name: string;
    readonly answers: boolean;
    readonly problem?: string;
  }[];
  /** The front doors; absent where there are none. */
  readonly fronts?: readonly {
    readonly address: string;
    readonly port: number;
    readonly scheme: 'http' | 'https';
    readonly condition: 'pending' | 'bound' | 'failed';
    readonly error?: string;
    readonly connections: number;
    /** Connections that were closed before they led to a service, by why. */
    readonly refused?: Readonly<Record<string, number>>;
  }[];
  /** How much of `limits` and `groups` is taken; absent where there are none. */
  readonly room?: {
    /** Of `limits.max_awake`, and of each group. */
    readonly awake: readonly {
      readonly group?: string;
      readonly taken: number;
      readonly max: number;
      readonly services: readonly string[];
    }[];
    /** Of `limits.memory`, in bytes. */
    readonly memory?: { readonly taken: number; readonly max: number };
    /** Workloads that wait for room. */
    readonly waiting: number;
  };
}

/** How long each phase of a wake took; a wait for its turn is left out where there was none. */
export interface PhasesAnswer {
  readonly room_ms?: number;
  readonly queue_ms?: number;
  readonly dependencies_ms?: number;
  readonly engine_ms: number;
  readonly health_ms: number;
  readonly port_ms: number;
}

export interface WakeAnswer extends PhasesAnswer {
  readonly at: string;
  readonly cause: string;
  readonly result: Wake['result'];
  readonly reason?: string;
  /** `['***']` where it may not be read without the token. */
  readonly output?: readonly string[];
  /** Why that could not be read. */
  readonly output_problem?: string;
}

export interface LeaseAnswer {
  /** `connection`, `flow`, `hub`, `schedule`, `window`, `hold`, `replica`, `standby`, `renamed`, `busy` */
  readonly kind: string;
  readonly since: string;
  readonly peer?: string;
  readonly listener?: string;
  readonly waiting?: boolean;
  readonly bytes_up?: number;
  readonly bytes_down?: number;
  readonly hub?: string;
  readonly user?: string;
  /** Of a hold or a window: when it ends. */
  readonly until?: string;
}

export interface ListenerAnswer {
  readonly protocol: 'tcp' | 'udp';
  readonly address: string;
  readonly port: number;
  readonly target_port: number | string;
  readonly condition: 'pending' | 'bound' | 'failed' | 'lost';
  readonly error?: string;
  readonly connections: number;
  readonly blocked: number;
  readonly refused?: Readonly<Record<string, number>>;
  readonly dropped?: Readonly<Record<string, number>>;
  readonly relay?: string;
  /** Where requests of HTTP are forwarded: what a browser speaks there. */
  readonly scheme?: 'http' | 'https';
  /** Of a front door: the hosts that lead to the service there. */
  readonly hosts?: readonly string[];
}

/** The last 24 hours of a service in few words, for a list; its detail has every change. */
export interface DayAnswer {
  /** When the first slot began; the last one has not ended yet. */
  readonly from: string;
  readonly slot_ms: number;
  /**
   * One state after the other, each with how many slots it lasted. A slot counts as failed if it failed within it, else as awake if it was
   * that for a moment, and so on.
   */
  readonly runs: readonly (readonly [Life, number])[];
  /** How long it was in each state since `from`, as far as that is remembered. */
  readonly time_ms: Readonly<Partial<Record<Life, number>>>;
  /** How often it failed since `from`. */
  readonly failures: number;
}

/** A row of `GET /api/services`. What is known of the workload alone is missing for a moment while the table changes. */
export interface ServiceAnswer {
  readonly name: string;
  readonly kind: string;
  readonly workload: string;
  readonly availability: string;
  /** The other services that have the same workload: what is told of it, and done to it, concerns them all. Absent where there are none. */
  readonly shares_with?: readonly string[];
  /** Its Compose project, its stack, or its namespace; absent where it belongs to none, and while its engine has not told. */
  readonly project?: string;
  readonly id?: string;
  readonly state?: string;
  readonly life?: Life;
  readonly since?: string;
  /** When a client last came to it or left it; null where none has since the proxy follows it. */
  readonly last_active?: string | null;
  readonly sleeps_at?: string;
  /** Until when it stays awake however idle it is (`min_awake`). */
  readonly awake_until?: string;
  readonly stays_awake?: string;
  /** Why it could not be put to sleep when that was last tried; absent once it sleeps. */
  readonly sleep_failure?: string;
  readonly unavailable?: string;
  readonly waking?: PhasesAnswer & {
    readonly cause: string;
    readonly since: string;
    readonly phase: WakePhase;
  };
  /** What it waits for before its engine is asked to start it. */
  readonly waits_for?: string;
  readonly usual_wake_ms?: number;
  /** The same of wakes for clients alone: how long one waits. */
  readonly usual_wait_ms?: number;
  /** While it has failed, and somebody waits for it: when it is tried again. */
  readonly next_try?: string;
  readonly failure?: string;
  /** While it is going to sleep: why, and by when it has stopped or is killed, where that is known. */
  readonly stopping?: { readonly kind: string; readonly reason: string; readonly until?: string };
  readonly last_wake?: WakeAnswer;
  readonly last_sleep?: { readonly at: string; readonly kind: string; readonly reason: string };
  readonly time_ms?: Readonly<Partial<Record<Life, number>>>;
  readonly sleeps?: Readonly<Record<string, number>>;
  /** Why the workload is awake: the clients of all services that have it. */
  readonly why: {
    readonly leases: number;
    readonly connections: number;
    readonly flows: number;
    readonly waiting: number;
    readonly kept_by: readonly string[];
    readonly oldest?: LeaseAnswer;
  };
  readonly next_start?: string;
  readonly next_stop?: string;
  /**
   * What it takes; where it is asleep, what it took when that was last measured (`last_bytes`). With `?memory=true`; missing where
   * that isn't known.
   */
  readonly memory?: { readonly bytes?: number; readonly last_bytes?: number; readonly problem?: string };
  /** With `?day=true`. */
  readonly day?: DayAnswer;
  /** Where a browser finds it at the front doors: one URL for each of its hosts, `*.` included. Absent where no door that leads to it is open. */
  readonly urls?: readonly string[];
  readonly listeners: readonly ListenerAnswer[];
}

/** `GET /api/services/{name}` */
export interface ServiceDetailAnswer extends ServiceAnswer {
  readonly leases: readonly LeaseAnswer[];
  readonly leases_omitted?: number;
  readonly woken_by: readonly {
    readonly kind: string;
    readonly listener?: string;
    /** Of a request at a front door: the hosts that it may name. */
    readonly hosts?: readonly string[];
    /** A client has to send something (`wake_on`). */
    readonly with_data?: true;
    /** Nobody else may (`wake_list`). */
    readonly only_from?: readonly string[];
    readonly at?: string;
    readonly cron?: string;
    readonly hub?: string;
    readonly user?: string;
  }[];
  readonly hubs: readonly string[];
  readonly dependants: readonly string[];
  /** Those that depend on it. */
  readonly users: readonly string[];
  readonly depends_on: readonly {
    readonly name: string;
    readonly condition: string;
    /** Who needs it, where that is not this service, but one that it needs itself. */
    readonly of?: string;
  }[];
  /** For each of its hosts, what clients get at the front doors with TLS; absent where there are none of the one or the other. */
  readonly certificates?: readonly {
    readonly host: string;
    /** `self-signed`: by the proxy's own authority; `none`: nobody gets it over HTTPS. */
    readonly kind: 'file' | 'self-signed' | 'none';
    /** Of a file: where it is, and when it ends. */
    readonly path?: string;
    readonly until?: string;
  }[];
  readonly wakes: readonly WakeAnswer[];
  /** `sleep`: why it sleeps, where that is known. */
  readonly timeline: readonly { readonly at: string; readonly life: Life; readonly sleep?: SleepKind }[];
  readonly problems: readonly FindingAnswer[];
}

/** A problem with its place apart. */
export interface FindingAnswer {
  readonly code: string;
  readonly severity: 'error' | 'warning';
  readonly message: string;
  /** The line that the log has. */
  readonly text: string;
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
  /** The line of the file, with a caret below. */
  readonly caret?: string;
}

/** `GET /api/reload` */
export interface ReloadAnswer {
  readonly generation: number;
  readonly changed_at: string;
  readonly file?: string;
  readonly refused: number;
  readonly refused_since?: string;
  readonly problems: readonly FindingAnswer[];
  readonly waiting: readonly FindingAnswer[];
}

export interface EffectiveValue {
  /** As the file writes it. */
  readonly value: unknown;
  /** `lazy-proxy.yaml:14:12`, `container db, label lazy-proxy.ports`, `$IDLE_TIMEOUT_SECS`, `default` … */
  readonly origin: string;
}

/** `GET /api/config`: the configuration in force. */
export interface EffectiveConfig {
  /** By name: `status.listen`, `relay` … */
  readonly settings: Readonly<Record<string, EffectiveValue>>;
  /** By service, then by field. */
  readonly services: Readonly<Record<string, Readonly<Record<string, EffectiveValue>>>>;
}
