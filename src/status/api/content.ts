import type { NextFires } from '../../model/availability.ts';
import type { Happening } from '../../model/running/happening.ts';
import type { Problem } from '../../model/problem.ts';
import type { ListenerSpec, Service } from '../../model/service.ts';
import type { TraefikSettings } from '../../model/settings.ts';
import type { ServiceTable } from '../../model/table.ts';
import type { RoomFigures, Timeline, WorkloadReport } from '../../model/running/workload-report.ts';
import type { WebAccess } from '../../model/web.ts';
import type { PresentClient } from '../../relay/listener.ts';
import type { FrontReport, HostCertificate } from '../../model/web.ts';
import type { EffectiveConfig } from './answers.ts';

/** What the API shows and what it may do. Each call looks anew. */
export interface ApiContent extends Actions {
  about(): AboutView;
  /** Every service of the table, or those of these names alone, sorted by name; of clients the oldest one of each listener. */
  services(only?: ReadonlySet<string>): readonly ServiceView[];
  /** One service, with up to `maxClients` clients of each listener; undefined where there is none of that name. */
  service(name: string, options: { readonly maxClients: number }): ServiceDetail | undefined;
  /** Why there is no service of that name, or which one may be meant, as the end of a message: `; did you mean "web"?`. */
  explainAbsence(name: string): string;
  config(options: { readonly service: string | undefined; readonly showSecrets: boolean }): EffectiveConfig;
  reload(options: { readonly showSecrets: boolean }): ReloadView;
  /** What other reverse proxies are told. */
  routes(): { readonly table: ServiceTable; readonly traefik: TraefikSettings };
  /** Tells of what happens from now on; the returned function ends it. */
  listen(listener: (happening: Happening) => void): () => void;
  /** What the workloads of services take of memory, or last took, by name, where that is known. Never rejects. */
  memory(names: readonly string[]): Promise<ReadonlyMap<string, MemoryView>>;
}

/** What has become of what somebody asked for. */
export type Outcome =
  | { readonly kind: 'done' }
  /** `leases`: who keeps it awake is worth showing. */
  | {
      readonly kind: 'refused';
      readonly status: 400 | 409 | 503;
      readonly detail: string;
      readonly leases?: true;
    };

/** What may be done to a service; `by` says who asks, for the log: `by hand, from 10.0.0.5`. */
export interface Actions {
  wake(name: string, by: string): Outcome;
  /** @param options.force ends its clients, too. */
  sleep(name: string, options: { readonly force: boolean; readonly by: string }): Outcome;
  /** @param options.time as the file writes durations; undefined = an hour. */
  hold(name: string, options: { readonly time: string | undefined; readonly by: string }): Outcome;
  release(name: string, by: string): Outcome;
}

/** What has become of the last changes. Times are ms since the epoch. */
export interface ReloadView {
  /** How often a configuration that changed something was put in force, by file or labels; the start is the first. */
  readonly generation: number;
  /** When that was last. */
  readonly changedAtMs: number;
  /** As messages show it; undefined = there is none. */
  readonly file: string | undefined;
  /** How often a change of it was refused since the start. */
  readonly refusedReloads: number;
  /** Since when what is in the file now is refused; absent where it is in force. */
  readonly refusedAtMs?: number;
  /** What is wrong with what is in the file now, each with its line and a caret below where that may be shown. */
  readonly problems: readonly { readonly problem: Problem; readonly caret?: string }[];
  /** Settings that wait for the next start. */
  readonly waiting: readonly Problem[];
}

export interface AboutView {
  readonly version: string;
  /** How long the proxy has run, ms. */
  readonly uptimeMs: number;
  /** Undefined where there are no limits. */
  readonly room: RoomFigures | undefined;
  readonly phase: 'starting' | 'serving' | 'draining';
  readonly fronts: readonly FrontReport[];
  /** The engines that are used, each with the kind of its workloads, and why it doesn't answer. */
  readonly engines: readonly {
    readonly kind: string;
    readonly name: string;
    readonly problem: string | undefined;
  }[];
}

/** What is known of one service. Times are ms since the epoch. */
export interface ServiceView {
  readonly service: Service;
  /** Undefined for a moment while the table changes. */
  readonly report: WorkloadReport | undefined;
  /** Its own, and those that it has lost to another service. */
  readonly listeners: readonly ListenerReport[];
  readonly schedule: NextFires;
  /** The other services that have the same workload, by name, and their listeners: their clients keep it awake, too. */
  readonly sharers: { readonly names: readonly string[]; readonly listeners: readonly ListenerReport[] };
  /** Made when it is asked for. */
  timeline(): Timeline;
}

export interface ServiceDetail extends ServiceView {
  /** Services that have it as their dependant. */
  readonly hubs: readonly string[];
  readonly users: readonly string[];
  /** What clients of the front doors get for each of its hosts; empty where TLS ends at none of them. */
  readonly certificates: readonly (HostCertificate & { readonly host: string })[];
  readonly problems: readonly Problem[];
}

export interface ListenerReport {
  readonly listener: ListenerSpec;
  /** `lost`: another service, or the status server, has it. */
  readonly condition: 'pending' | 'bound' | 'failed' | 'lost';
  /** Why it is not bound, or its clients can't be served. */
  readonly error: string | undefined;
  readonly activeConnections: number;
  /** Clients that the access list has refused. */
  readonly blocked: number;
  /** Clients that were refused because of a limit, by limit. */
  readonly refused: Readonly<Record<string, number>>;
  /** Datagrams that were dropped, by reason. */
  readonly dropped: Readonly<Record<string, number>>;
  /** How new TCP connections are relayed; undefined for UDP. */
  readonly relay: string | undefined;
  /** Undefined where bytes are relayed, whatever they are. */
  readonly web: WebAccess | undefined;
  /** Oldest first; not all of them where there are many. */
  readonly clients: readonly PresentClient[];
}

/** What a workload takes, what one that doesn't run took when somebody last asked, or why that can't be told. */
export type MemoryView =
  | { readonly bytes: number }
  | { readonly lastBytes: number }
  | { readonly problem: string };
