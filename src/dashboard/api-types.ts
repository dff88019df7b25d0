/** What the page reads of the API's answers; `schema/openapi.yaml` describes them whole. Times are RFC 3339. */

export type Life = 'unknown' | 'asleep' | 'waking' | 'awake' | 'failed';
export type WakePhase = 'queue' | 'engine' | 'health' | 'port';

export interface About {
  readonly version: string;
  readonly phase: 'starting' | 'serving' | 'draining';
  readonly uptime_ms: number;
  readonly engines: readonly {
    readonly name: string;
    readonly answers: boolean;
    readonly problem?: string;
  }[];
}

export interface Phases {
  readonly queue_ms?: number;
  readonly engine_ms: number;
  readonly health_ms: number;
  readonly port_ms: number;
}

export interface Wake extends Phases {
  readonly at: string;
  readonly cause: string;
  readonly result: 'ready' | 'failed' | 'ended';
  readonly reason?: string;
  /** `['***']` where it may not be read without the token. */
  readonly output?: readonly string[];
}

export interface Lease {
  readonly kind: string;
  readonly since: string;
  readonly peer?: string;
  readonly listener?: string;
  readonly waiting?: boolean;
  readonly bytes_up?: number;
  readonly bytes_down?: number;
  readonly hub?: string;
  /** Of a hold: when it ends. */
  readonly until?: string;
}

export interface Listener {
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
}

export interface Service {
  readonly name: string;
  readonly kind: string;
  readonly workload: string;
  /** Its Compose project, or the namespace it is in. */
  readonly project?: string;
  readonly id?: string;
  readonly state?: string;
  readonly life?: Life;
  readonly since?: string;
  readonly last_active?: string;
  readonly sleeps_at?: string;
  readonly stays_awake?: string;
  readonly next_start?: string;
  readonly next_stop?: string;
  readonly waking?: Phases & { readonly cause: string; readonly since: string; readonly phase: WakePhase };
  readonly usual_wake_ms?: number;
  readonly failure?: string;
  readonly last_wake?: Wake;
  readonly last_sleep?: { readonly at: string; readonly kind: string; readonly reason: string };
  readonly time_ms?: Readonly<Partial<Record<Life, number>>>;
  readonly sleeps?: Readonly<Record<string, number>>;
  readonly why: {
    readonly leases: number;
    readonly connections: number;
    readonly flows: number;
    readonly waiting: number;
    readonly kept_by: readonly string[];
    readonly oldest?: Lease;
  };
  readonly memory?: { readonly bytes?: number; readonly problem?: string };
  readonly listeners: readonly Listener[];
}

export interface Finding {
  readonly code: string;
  readonly severity: 'error' | 'warning';
  readonly message: string;
  readonly text: string;
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
  /** The line of the file, with a caret below. */
  readonly caret?: string;
}

export interface ServiceDetail extends Service {
  readonly leases: readonly Lease[];
  readonly leases_omitted?: number;
  readonly woken_by: readonly {
    readonly kind: string;
    readonly listener?: string;
    readonly at?: string;
    readonly cron?: string;
    readonly hub?: string;
  }[];
  readonly hubs: readonly string[];
  readonly dependants: readonly string[];
  readonly wakes: readonly Wake[];
  readonly timeline: readonly { readonly at: string; readonly life: Life }[];
  readonly problems: readonly Finding[];
}

/** `GET /problems` */
export interface RawProblem {
  readonly code: string;
  readonly severity: 'error' | 'warning';
  readonly message: string;
  readonly origin: {
    readonly kind: string;
    readonly file?: string;
    readonly line?: number;
    readonly column?: number;
  };
}

/** `GET /api/reload` */
export interface Reload {
  readonly generation: number;
  readonly changed_at: string;
  readonly file?: string;
  readonly refused: number;
  readonly refused_since?: string;
  readonly problems: readonly Finding[];
  readonly waiting: readonly Finding[];
}

export interface EffectiveValue {
  readonly value: unknown;
  readonly origin: string;
}

/** `GET /api/config?service=…` */
export interface EffectiveConfig {
  readonly services: Readonly<Record<string, Readonly<Record<string, EffectiveValue>>>>;
}
