/**
 * The lifecycle stage. Input: the services of the table, what the backends observe, and clients that want upstreams.
 * Output: workloads awake while somebody holds a lease on them, asleep otherwise. One controller per workload.
 */
import type { Backend } from '../backends/backend.ts';
import type { Service } from '../model/service.ts';
import { type Observation, type Workload, type WorkloadKind, workloadKey } from '../model/workload.ts';
import type { Clock } from '../system/clock.ts';
import type { Logger } from '../system/logger.ts';
import { type ConnectRequest, connectUpstream, type UpstreamConnection } from './connect-upstream.ts';
import { Refusal } from './refusal.ts';
import { WorkloadController } from './workload-controller.ts';

export class Lifecycle {
  readonly #backends: ReadonlyMap<WorkloadKind, Backend>;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #byWorkload = new Map<string, WorkloadController>();
  readonly #byService = new Map<string, WorkloadController>();

  constructor(options: {
    readonly backends: readonly Backend[];
    readonly clock: Clock;
    readonly logger: Logger;
  }) {
    this.#backends = new Map(options.backends.map((backend) => [backend.kind, backend]));
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  /** Follows a service's workload from now on; one that is still draining goes on as if it had never left. */
  add(service: Service): void {
    const key = workloadKey(service.workload);
    const draining = this.#byWorkload.get(key);
    const controller = draining ?? this.#createController(key, service);
    this.#byWorkload.set(key, controller);
    this.#byService.set(service.name, controller);
    if (draining === undefined) controller.start();
    else draining.update(service.workload, service);
  }

  /** New settings for a service. Where its workload is another one now, that one is followed instead. */
  update(service: Service, previous: Service): void {
    if (workloadKey(service.workload) === workloadKey(previous.workload)) {
      this.#byService.get(service.name)?.update(service.workload, service);
      return;
    }
    this.remove(previous);
    this.add(service);
  }

  remove(service: Service): void {
    const controller = this.#byService.get(service.name);
    this.#byService.delete(service.name);
    // Where the workload has gone over to a service of another name, it lives on.
    if (controller?.policy.name === service.name) controller.retire();
  }

  /** The controller of a service; undefined where there is no such service. */
  find(serviceName: string): WorkloadController | undefined {
    return this.#byService.get(serviceName);
  }

  /** What a backend saw of one workload. */
  observe(key: string, observation: Observation): void {
    this.#byWorkload.get(key)?.observe(observation);
  }

  /**
   * A connection to an awake service, waking it first where needed.
   * @throws {Refusal} when the client can't be served.
   */
  async connect(serviceName: string, request: ConnectRequest): Promise<UpstreamConnection> {
    const controller = this.#byService.get(serviceName);
    if (controller === undefined) throw new Refusal('removed', 'the service was removed');
    return connectUpstream(controller, request);
  }

  /** Puts nothing to sleep from now on: the proxy is about to end, and leaves workloads as they are. */
  keepAwake(): void {
    for (const controller of this.#byWorkload.values()) controller.takeLease();
  }

  /** Refuses everybody who waits and stops all timers; workloads stay as they are. Idempotent. */
  close(): void {
    for (const controller of this.#byWorkload.values()) controller.close();
  }

  #createController(key: string, service: Service): WorkloadController {
    const controller: WorkloadController = new WorkloadController({
      workload: service.workload,
      policy: service,
      backend: this.#backendOf(service.workload),
      clock: this.#clock,
      logger: this.#logger,
      onDrained: () => {
        if (this.#byWorkload.get(key) === controller) this.#byWorkload.delete(key);
      },
    });
    return controller;
  }

  #backendOf(workload: Workload): Backend {
    const backend = this.#backends.get(workload.kind);
    if (backend === undefined) throw new Error(`no backend for workloads of the kind ${workload.kind}`);
    return backend;
  }
}
