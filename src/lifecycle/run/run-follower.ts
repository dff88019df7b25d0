import { isDeepStrictEqual } from 'node:util';
import type { Observation } from '../../model/observation.ts';
import type { ServiceUrl, StatusRange } from '../../model/service.ts';
import type { Clock } from '../../system/clock.ts';
import type { CheckTarget, HttpTarget } from '../../system/net/http-client.ts';
import { untilHttpHealthy } from './http-check.ts';
import { WorkloadRun } from './workload-run.ts';
import type { LifecycleState } from '../workload/machine.ts';
import type { OwnPlaces } from '../workload/subject.ts';

/** What a run has to pass before anything is sent to its ports; first match wins (DESIGN 4.2). */
export type HealthGate = 'http' | 'engine' | 'none';

export interface RunView {
  readonly state: LifecycleState;
  readonly observation: Observation;
  readonly httpHealthcheck: ServiceUrl | undefined;
  readonly httpHealthcheckStatus: readonly StatusRange[];
  readonly startTimeoutMs: number;
}

/** What the engine's health check does that whoever waits may wonder at. */
export type HealthNews = 'unhealthy' | 'late';

/** A check takes its time, too, once it has begun. */
const CHECK_RUN_MS = 500;

/** Which health gate a workload has. Pure. */
export function chooseHealthGate({
  observation,
  httpHealthcheck,
}: Pick<RunView, 'observation' | 'httpHealthcheck'>): HealthGate {
  if (httpHealthcheck !== undefined) return 'http';
  return observation.health === 'none' ? 'none' : 'engine';
}

/** Whether the engine's health check can't have spoken before a start takes too long: it must not cost a client. Pure. */
export function isCheckTooLate({
  observation,
  startTimeoutMs,
}: Pick<RunView, 'observation' | 'startTimeoutMs'>): boolean {
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

/**
 * Follows the runs of a workload: one begins for its clients when the workload runs and its health gate, if it
 * has one, is passed. `close()` ends it.
 */
export class RunFollower {
  readonly #clock: Clock;
  readonly #own: OwnPlaces | undefined;
  readonly #service: () => string;
  readonly #onBegin: () => void;
  readonly #onReordered: () => void;
  readonly #onUnanswered: () => void;
  readonly #onHealthNews: (news: HealthNews) => void;
  readonly #checkLabelUrl: CheckTarget | undefined;
  #current: WorkloadRun | undefined;
  /** Outlives the run: the next one is most often reached in the same way. */
  #lastHost: string | undefined;
  #probe: HttpProbe | undefined;
  /** A run that passes a check begins with what is known then, not with what was known when the check began. */
  #newest: Observation | undefined;
  /** Which answers of the check over HTTP count as ready. */
  #accepted: readonly StatusRange[] = [];
  readonly #toldNews = new Set<HealthNews>();
  /** Nothing was known of the workload before this run. */
  #first = true;
  #closed = false;

  constructor(options: {
    readonly clock: Clock;
    /** The name of the service whose workload it is. */
    readonly service: () => string;
    readonly own?: OwnPlaces | undefined;
    /** A run has begun, or changed its addresses: those who wait may try. */
    readonly onBegin: () => void;
    /** The hosts of the run are tried in another order from now on. */
    readonly onReordered: () => void;
    /** A port of the run has not answered a try. */
    readonly onUnanswered?: () => void;
    /**
     * Of the run at the gate, each once: the engine calls it `unhealthy`, which may change; or its check speaks too `late`,
     * and the ports count until it does.
     */
    readonly onHealthNews: (news: HealthNews) => void;
    /** Where the URL of a label may lead; default: to the workload alone. */
    readonly checkLabelUrl?: CheckTarget | undefined;
  }) {
    this.#clock = options.clock;
    this.#own = options.own;
    this.#service = options.service;
    this.#onBegin = options.onBegin;
    this.#onReordered = options.onReordered;
    this.#onUnanswered = options.onUnanswered ?? (() => {});
    this.#onHealthNews = options.onHealthNews;
    this.#checkLabelUrl = options.checkLabelUrl;
  }

  get current(): WorkloadRun | undefined {
    return this.#current;
  }

  /** Why the health check over HTTP failed last; undefined where none is under way, or it has not failed. */
  get checkFailure(): string | undefined {
    return this.#probe?.failure;
  }

  /** Takes every change of the workload's state or observation. */
  follow(view: RunView): void {
    if (this.#closed) return;
    this.#accepted = view.httpHealthcheckStatus;
    const { state, observation } = view;
    this.#newest = observation;
    const atGate = state.kind === 'starting' && state.phase === 'gate';
    if (!atGate) {
      this.#endProbe();
      this.#toldNews.clear();
    } else if (observation.health === 'unhealthy' && chooseHealthGate(view) === 'engine') {
      // It was let to its ports before the check had spoken.
      this.#end();
    }
    if (!atGate && state.kind !== 'ready') {
      this.#end();
      if (state.kind !== 'unknown') this.#first = false;
    } else if (this.#current !== undefined) {
      this.#followAddresses(observation, this.#current);
    } else if (state.kind === 'ready') {
      this.#begin(observation);
    } else {
      this.#passGate(view);
    }
  }

  /** Ends the run and all checks. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#endProbe();
    this.#end();
  }

  #passGate(view: RunView): void {
    const { observation } = view;
    switch (chooseHealthGate(view)) {
      case 'none':
        return this.#begin(observation);
      case 'engine':
        if (observation.health === 'healthy') return this.#begin(observation);
        if (observation.health === 'unhealthy') return this.#tellNews('unhealthy');
        if (!isCheckTooLate(view)) return;
        this.#tellNews('late');
        return this.#begin(observation);
      case 'http':
        if (view.httpHealthcheck !== undefined) this.#probeHttp(view.httpHealthcheck, observation);
        return;
    }
  }

  #tellNews(news: HealthNews): void {
    if (this.#toldNews.has(news)) return;
    this.#toldNews.add(news);
    this.#onHealthNews(news);
  }

  #probeHttp(template: ServiceUrl, observation: Observation): void {
    const { hosts } = observation;
    if (this.#probe !== undefined && isDeepStrictEqual(this.#probe.hosts, hosts)) return;
    this.#endProbe();
    if (hosts.length === 0) return;
    const probe: HttpProbe = { hosts, stop: new AbortController() };
    this.#probe = probe;
    const onFailure = (reason: string) => {
      probe.failure = reason;
    };
    const isLast = (host: string) => host === this.#lastHost;
    const inOrder = hosts.toSorted((a, b) => Number(isLast(b)) - Number(isLast(a)));
    const options = {
      ...{
        hosts: inOrder,
        clock: this.#clock,
        signal: probe.stop.signal,
        onFailure,
        accepted: () => this.#accepted,
      },
      checkUrl: ({ address, port }: HttpTarget) =>
        this.#own?.explainOwnOf(this.#service(), { host: address, port }),
      checkLabelUrl: this.#checkLabelUrl,
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
    this.#current = new WorkloadRun(observation, {
      clock: this.#clock,
      own: this.#own,
      cold: !this.#first,
      lastHost: this.#lastHost,
      onReordered: this.#onReordered,
      onUnanswered: this.#onUnanswered,
    });
    before?.end();
    this.#onBegin();
  }

  /** The same run may get other addresses, as when a network is joined, or one of several pods takes another's place. */
  #followAddresses(observation: Observation, current: WorkloadRun): void {
    const { hosts, ports } = observation;
    if (hosts.length === 0) return;
    if (ports !== undefined) current.replaceEndpoints(observation);
    else if (!isDeepStrictEqual(hosts, current.hosts)) this.#begin(observation);
  }

  #end(): void {
    const ended = this.#current;
    this.#current = undefined;
    this.#lastHost = ended?.lastHost ?? this.#lastHost;
    ended?.end();
  }

  #endProbe(): void {
    this.#probe?.stop.abort(new Error('the gate was left'));
    this.#probe = undefined;
  }
}
