import type { UpstreamConnection } from '../../src/lifecycle/clients/pass-gate.ts';
import { Lifecycle, type WorkloadMemory } from '../../src/lifecycle/lifecycle.ts';
import type { OwnPlaces } from '../../src/lifecycle/run/workload-run.ts';
import type { WorkloadController } from '../../src/lifecycle/workload/workload-controller.ts';
import type { Observation } from '../../src/model/running/observation.ts';
import type { Service, TargetPort } from '../../src/model/service.ts';
import { type WorkloadKind, workloadKey } from '../../src/model/workload.ts';
import { Happenings } from '../../src/system/happenings.ts';
import type { LogFields, Logger } from '../../src/system/log/logger.ts';
import { aService } from '../support/builders.ts';
import { FakeBackend } from '../support/fake-backend.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { Sockets } from '../support/sockets.ts';

/** A service without a port: nothing has to answer before it is ready. */
export function aBareService(overrides: Partial<Service> = {}): Service {
  return aService({ listeners: [], ...overrides });
}

export interface Client {
  readonly served: Promise<UpstreamConnection>;
  /** `waiting`, `served`, or why it was refused. */
  readonly outcome: string;
  /** The client goes away. */
  leave(): void;
}

/** A lifecycle with a backend and a clock that the test moves, and real sockets. */
export class Bench {
  readonly clock = new FakeClock();
  readonly sockets = new Sockets();
  readonly lines: string[] = [];
  /** Each wake that has failed, as it is told outside: `db: exit code 3`. */
  readonly failedWakes: string[] = [];
  readonly happenings = new Happenings();
  readonly backend: FakeBackend;
  readonly lifecycle: Lifecycle;
  readonly #services = new Map<string, Service>();

  constructor(
    options: {
      readonly kind?: WorkloadKind;
      readonly owns?: boolean;
      readonly shares?: boolean;
      readonly maxStarting?: number;
      readonly own?: OwnPlaces;
      readonly explainEngine?: () => string | undefined;
      readonly memory?: WorkloadMemory;
      /** Whether the log shows debug; default: no. */
      readonly debug?: boolean;
    } = {},
  ) {
    const sink = {
      observed: (key: string, observation: Observation) => this.lifecycle.observe(key, observation),
      labelled() {},
      reachable() {},
    };
    this.backend = new FakeBackend({ ...options, sink });
    this.lifecycle = new Lifecycle({
      backends: [this.backend],
      clock: this.clock,
      logger: collectLines(this.lines, options),
      maxStarting: options.maxStarting ?? 1_000,
      own: options.own,
      ...(options.explainEngine !== undefined && { explainEngine: options.explainEngine }),
      memory: options.memory,
      happenings: this.happenings,
      onWakeFailed: ({ name }, _observation, { reason }) => void this.failedWakes.push(`${name}: ${reason}`),
    });
  }

  /** Adds a service whose workload is in this state. */
  add(service: Service, observation: Observation): WorkloadController {
    this.backend.tell(workloadKey(service.workload), observation);
    this.#services.set(service.name, service);
    this.lifecycle.add(service);
    return this.controller(service.name);
  }

  /** Changes a service and links all, as a reload does. */
  edit(serviceName: string, overrides: Partial<Service>): void {
    const previous = this.#services.get(serviceName);
    if (previous === undefined) throw new Error(`no service ${serviceName}`);
    const service = { ...previous, ...overrides };
    this.#services.set(serviceName, service);
    this.reload(() => this.lifecycle.update(service, previous));
  }

  /** Takes a service away and links the rest, as a reload does. */
  remove(serviceName: string): void {
    const service = this.#services.get(serviceName);
    this.reload(() => service && this.lifecycle.remove(service));
  }

  /** Changes services and links all, as the apply stage does. */
  reload(change: () => void): void {
    this.lifecycle.unlinkServices();
    change();
    this.lifecycle.linkServices();
  }

  controller(serviceName: string): WorkloadController {
    const controller = this.lifecycle.find(serviceName);
    if (controller === undefined) throw new Error(`no service ${serviceName}`);
    return controller;
  }

  /**
   * @param options.waitedMs for how long it has waited for a warm path already.
   * @param options.mayWake whether the workload may be started for it.
   */
  client(serviceName: string, port: TargetPort, { waitedMs = 0, mayWake = true } = {}): Client {
    const gone = new AbortController();
    const request = { port, client: '10.0.0.5:4242', waitedMs, mayWake, signal: gone.signal };
    let outcome = 'waiting';
    const served = this.lifecycle.connect(serviceName, request);
    served.then(
      ({ socket }) => {
        outcome = 'served';
        this.sockets.own(socket);
      },
      (error) => {
        outcome = error.code ?? error.message;
      },
    );
    return {
      served,
      get outcome() {
        return outcome;
      },
      leave: () => gone.abort(new Error('gone')),
    };
  }

  /** Lets time pass, a little per turn of the event loop, until `condition` holds. */
  async until(condition: () => boolean, stepMs = 1): Promise<void> {
    while (!condition()) await this.clock.advance(stepMs);
  }

  /** Ends everything; returns how many timers are left, which must be none. */
  async close(): Promise<number> {
    this.lifecycle.close();
    await this.backend.close();
    await settle();
    await this.sockets.close();
    return this.clock.pending;
  }
}

function collectLines(lines: string[], { debug = false }: { readonly debug?: boolean }): Logger {
  const log = (_fields: LogFields, message: string) => void lines.push(message);
  const shows = (level: 'info' | 'debug') => level === 'info' || debug;
  return { error: log, warn: log, info: log, debug: log, shows };
}
