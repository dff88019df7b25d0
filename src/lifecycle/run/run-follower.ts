import { isDeepStrictEqual } from 'node:util';
import type { Observation } from '../../model/running/observation.ts';
import type { ServiceUrl, TargetPort } from '../../model/service.ts';
import type { Clock } from '../../system/clock.ts';
import type { Logger } from '../../system/log/logger.ts';
import type { CheckTarget, HttpTarget } from '../../system/net/http-client.ts';
import { isGate, isGoingToSleep, type LifecycleState } from '../workload/machine.ts';
import type { WorkloadPolicy } from '../workload/workload-policy.ts';
import { untilHttpHealthy } from './http-check.ts';
import { type OwnPlaces, WorkloadRun } from './workload-run.ts';

/** What a run has to pass before anything is sent to its ports; first match wins (DESIGN 4.2). */
export type HealthGate = 'http' | 'engine' | 'none';

/** How long the engine's health check may take to answer, once it has begun. */
const CHECK_RUN_MS = 500;

/** Which health gate a workload has. Pure. */
export function chooseHealthGate({
  observation,
  httpHealthcheck,
}: {
  readonly observation: Observation;
  readonly httpHealthcheck: ServiceUrl | undefined;
}): HealthGate {
  if (httpHealthcheck !== undefined) return 'http';
  return observation.health === 'none' ? 'none' : 'engine';
}

/** Whether the engine's health check answers only after the start's budget is spent: no client must wait for it then. Pure. */
export function isCheckTooLate({
  observation,
  startTimeoutMs,
}: {
  readonly observation: Observation;
  readonly startTimeoutMs: number;
}): boolean {
  const { health, checkTimes } = observation;
  if (health !== 'starting' || checkTimes === undefined) return false;
  return checkTimes.firstMs + CHECK_RUN_MS >= startTimeoutMs;
}

interface HttpProbe {
  readonly hosts: readonly string[];
  readonly stop: AbortController;
  /** Why the last try failed. */
  failure?: string;
}

interface RunFollowerOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** What its services ask for, as it is in force now. */
  readonly policy: () => Pick<
    WorkloadPolicy,
    'name' | 'httpHealthcheck' | 'httpHealthcheckStatus' | 'startTimeoutMs' | 'services'
  >;
  readonly own?: OwnPlaces | undefined;
  /** Where the health check of a label may lead; default: to the workload alone. */
  readonly checkLabelUrl?: CheckTarget | undefined;
  /** A run has begun, or changed its addresses: clients that wait may try now. */
  readonly onBegin: () => void;
  /** The hosts of the run will be tried in another order from now on. */
  readonly onReordered: () => void;
  /** A port of the run has not answered a try. */
  readonly onUnanswered: () => void;
  /** A port has answered a dial of the proxy's own: see `proveAlone`. */
  readonly onProven: () => void;
}

/**
 * Follows the runs of a workload. A run begins for its clients when the workload runs and has passed its health gate, if it
 * has one; it ends when the workload stops. `close()` ends it.
 */
export class RunFollower {
  readonly #options: RunFollowerOptions;
  #current: WorkloadRun | undefined;
  /** The host that answered last: kept after the run, since the next run is most often reached at the same host. */
  #lastHost: string | undefined;
  #probe: HttpProbe | undefined;
  #proof: { readonly run: WorkloadRun; readonly stop: AbortController } | undefined;
  /** The newest observation. A run that passes its check begins with this one, not with that from the beginning of the check. */
  #newest: Observation | undefined;
  /** What was logged about the health check of the run at the gate. */
  readonly #told = new Set<'unhealthy' | 'late'>();
  /** True while the proxy has seen no other state than running: the workload may have run before the proxy. */
  #first = true;
  #closed = false;

  constructor(options: RunFollowerOptions) {
    this.#options = options;
  }

  /** The present run; undefined while the workload doesn't run, or has a health gate to pass first. */
  get current(): WorkloadRun | undefined {
    return this.#current;
  }

  /** Why the health check over HTTP failed last; undefined where none is under way, or it has not failed. */
  get checkFailure(): string | undefined {
    return this.#probe?.failure;
  }

  /** Takes every change of the workload's state or observation. */
  follow(state: LifecycleState, observation: Observation): void {
    if (this.#closed) return;
    this.#newest = observation;
    const atGate = isGate(state);
    if (!atGate) {
      this.#endProbe();
      this.#endProof();
      this.#told.clear();
    } else if (observation.health === 'unhealthy' && this.#healthGate(observation) === 'engine') {
      // The run had begun before the health check answered, which now says that the workload is unhealthy.
      this.#end();
    }
    if (!atGate && state.kind !== 'ready') {
      this.#end({ byOthers: isStoppedByOthers(state, observation) });
      if (state.kind !== 'unknown') this.#first = false;
    } else if (this.#current !== undefined) {
      this.#followAddresses(observation, this.#current);
    } else if (state.kind === 'ready') {
      this.#begin(observation);
    } else {
      this.#passGate(observation);
    }
  }

  /**
   * Dials the ports of the present run until one answers, and tells `onProven`; gives up when the workload leaves its gate.
   * Does nothing where there is no run, or its ports are dialled already.
   * @param ports at least one.
   */
  proveAlone(ports: readonly TargetPort[]): void {
    const run = this.#current;
    if (run === undefined || this.#proof?.run === run) return;
    this.#endProof();
    const proof = { run, stop: new AbortController() };
    this.#proof = proof;
    void run.proveAny(ports, proof.stop.signal).then(
      () => {
        if (this.#proof !== proof) return;
        this.#proof = undefined;
        this.#options.onProven();
      },
      () => {},
    );
  }

  /** Its engine says that the run is over: clients wait for what it says next. */
  endRun(how: { readonly byOthers: boolean }): void {
    this.#end(how);
  }

  /** Ends the run and all checks. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#endProbe();
    this.#endProof();
    this.#end();
  }

  #healthGate(observation: Observation): HealthGate {
    const { httpHealthcheck } = this.#options.policy();
    return chooseHealthGate({ observation, httpHealthcheck });
  }

  #passGate(observation: Observation): void {
    const { httpHealthcheck, startTimeoutMs } = this.#options.policy();
    if (httpHealthcheck !== undefined) return this.#probeHttp(httpHealthcheck, observation);
    if (this.#healthGate(observation) === 'none' || observation.health === 'healthy') {
      return this.#begin(observation);
    }
    if (observation.health === 'unhealthy') return this.#logCheck('unhealthy', observation);
    if (!isCheckTooLate({ observation, startTimeoutMs })) return;
    this.#logCheck('late', observation);
    this.#begin(observation);
  }

  /** Logs, once a run, what the engine's health check does: it says `unhealthy`, which may change, or it runs too `late`. */
  #logCheck(news: 'unhealthy' | 'late', { checkTimes }: Observation): void {
    if (this.#told.has(news)) return;
    this.#told.add(news);
    const { logger } = this.#options;
    const { name: service, startTimeoutMs } = this.#options.policy();
    const budget = `start_timeout (${startTimeoutMs / 1_000} s)`;
    if (news === 'unhealthy') {
      const message = `${service}: its health check says that it is unhealthy; the proxy waits for it to recover, within ${budget}`;
      return logger.warn({ event: 'unhealthy', service }, message);
    }
    const firstMs = checkTimes?.firstMs ?? 0;
    const message = `${service}: its health check first runs ${firstMs / 1_000} s after a start, too late for ${budget}`;
    logger.info(
      { event: 'health-late', service },
      `${message}: until then the service counts as ready as soon as its port answers`,
    );
  }

  #probeHttp(template: ServiceUrl, observation: Observation): void {
    const { hosts } = observation;
    if (this.#probe !== undefined && isDeepStrictEqual(this.#probe.hosts, hosts)) return;
    this.#endProbe();
    if (hosts.length === 0) return;
    const probe: HttpProbe = { hosts, stop: new AbortController() };
    this.#probe = probe;
    const { clock, own, checkLabelUrl, policy } = this.#options;
    const onFailure = (reason: string) => {
      probe.failure = reason;
    };
    const isLast = (host: string) => host === this.#lastHost;
    const inOrder = hosts.toSorted((a, b) => Number(isLast(b)) - Number(isLast(a)));
    const options = {
      ...{ hosts: inOrder, clock, signal: probe.stop.signal, onFailure, checkLabelUrl },
      accepted: () => policy().httpHealthcheckStatus,
      checkUrl: ({ address, port }: HttpTarget) =>
        own?.explainOwnOf(policy().services, { host: address, port }),
    };
    void untilHttpHealthy(template, options).then(
      (host) => {
        if (this.#probe !== probe) return;
        this.#probe = undefined;
        this.#lastHost = host ?? this.#lastHost;
        this.#begin(this.#newest ?? observation);
      },
      () => {},
    );
  }

  #begin(observation: Observation): void {
    const before = this.#current;
    this.#lastHost = before?.lastHost ?? this.#lastHost;
    const { clock, own, onReordered, onUnanswered, onBegin } = this.#options;
    this.#current = new WorkloadRun(observation, {
      ...{ clock, own, onReordered, onUnanswered },
      ...{ cold: !this.#first, lastHost: this.#lastHost },
    });
    before?.end();
    onBegin();
  }

  /** The same run may get other addresses, as when a network is joined, or one of several pods takes another's place. */
  #followAddresses(observation: Observation, current: WorkloadRun): void {
    const { hosts, ports } = observation;
    if (hosts.length === 0) return;
    if (ports !== undefined) current.replaceEndpoints(observation);
    else if (!isDeepStrictEqual(hosts, current.hosts)) this.#begin(observation);
  }

  #end(how: Parameters<WorkloadRun['end']>[0] = {}): void {
    const ended = this.#current;
    this.#current = undefined;
    this.#lastHost = ended?.lastHost ?? this.#lastHost;
    ended?.end(how);
  }

  #endProbe(): void {
    this.#probe?.stop.abort(new Error('the gate was left'));
    this.#probe = undefined;
  }

  #endProof(): void {
    this.#proof?.stop.abort(new Error('the gate was left'));
    this.#proof = undefined;
  }
}

/** Whether it was somebody else than the proxy, or the workload itself, who has ended a run. */
function isStoppedByOthers(state: LifecycleState, observation: Observation): boolean {
  if (isGoingToSleep(state)) return false;
  return (
    observation.stoppedBy === 'others' || observation.state === 'missing' || observation.state === 'stopping'
  );
}
