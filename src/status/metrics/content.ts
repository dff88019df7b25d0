import type { ListenerSpec } from '../../model/service.ts';
import type { FrontReport } from '../../model/web.ts';
import type { RoomFigures, WorkloadReport } from '../../model/running/workload-report.ts';
import type { ListenerTotals } from '../../relay/listener.ts';
import type { Histogram } from '../../system/histogram.ts';

/** What the metrics show. It is read at the scrape, and nothing is prepared for it before. */
export interface MetricsContent {
  proxy(): Promise<ProxyFigures>;
  /** Each service is read when it is asked for, so that whoever reads them all can pause in between. */
  services(): Iterable<ServiceFigures>;
}

/** What is known of the proxy as a whole. */
export interface ProxyFigures {
  readonly version: string;
  readonly nodeVersion: string;
  /** How new connections are relayed. */
  readonly relay: string;
  readonly services: number;
  readonly config: ConfigFigures;
  /** The engines that are used. */
  readonly engines: readonly { readonly engine: string; readonly answers: boolean }[];
  /** Calls of the engines' APIs that have ended; how long each took, in seconds. */
  readonly calls: readonly {
    readonly engine: string;
    readonly call: string;
    readonly seconds: Histogram;
    readonly errors: number;
  }[];
  /** How long each phase of the wakes that worked took, and all of it, in seconds. */
  readonly wakeSeconds: Readonly<Record<string, Histogram>>;
  /** How long clients waited for a workload, in seconds, by how the wait ended. */
  readonly heldSeconds: Readonly<Record<string, Histogram>>;
  readonly fronts: readonly FrontReport[];
  /** Undefined where there are no limits. */
  readonly room: RoomFigures | undefined;
  readonly process: {
    readonly cpuSeconds: number;
    readonly residentBytes: number;
    /** Since the epoch. */
    readonly startSeconds: number;
    /** Undefined where the machine doesn't tell, as of the next. */
    readonly openFds: number | undefined;
    readonly maxFds: number | undefined;
  };
}

/** What has become of the configuration. */
export interface ConfigFigures {
  /** How often one that changed something was put in force; the start is the first. */
  readonly generation: number;
  /** When that was last, ms since the epoch. */
  readonly changedAtMs: number;
  /** How often a change of the file was put in force, and how often one was refused. */
  readonly applied: number;
  readonly refused: number;
  /** Whether what is in the file now is refused. */
  readonly isRefused: boolean;
}

/** What is known of one service. */
export interface ServiceFigures {
  readonly name: string;
  /** Whether the workload is counted here: of several services that have it, at one alone. */
  readonly countsWorkload: boolean;
  /** Undefined for a moment while the table changes. */
  readonly report: WorkloadReport | undefined;
  readonly listeners: readonly ListenerFigures[];
}

export interface ListenerFigures {
  readonly listener: ListenerSpec;
  readonly isBound: boolean;
  readonly active: number;
  readonly totals: ListenerTotals;
  /** Clients that the access list has refused. */
  readonly blocked: number;
  /** Clients that were refused because of a limit, or because the service slept, by that. */
  readonly refused: Readonly<Record<string, number>>;
  /** Datagrams that were dropped, by reason. */
  readonly dropped: Readonly<Record<string, number>>;
}
