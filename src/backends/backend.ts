import type { LabelPrefixes } from '../model/label-names.ts';
import type { Observation } from '../model/running/observation.ts';
import type { Workload, WorkloadKind, WorkloadRef } from '../model/workload.ts';

/**
 * The port to one kind of workload: the layers above speak only this, in our own types.
 *
 * A backend observes its engine by itself and tells the sink. It never reports a guess: while the engine can't be
 * asked, what was last known stands, and before it was ever asked everything is `unknown`.
 */
export interface Backend {
  readonly kind: WorkloadKind;
  /** True where the proxy started the workload itself and ends it at shutdown or when its service is removed. */
  readonly ownsWorkloads: boolean;
  /** What its workloads print goes to the log as it comes, at info; absent = it doesn't. */
  readonly logsOutput?: boolean;
  /**
   * Begins to observe and reports to `sink`. Resolves after the first full look at the engine, or, where the engine
   * doesn't answer, at once after saying so through `sink.reachable(false)`; it goes on trying by itself.
   */
  open(sink: BackendSink): Promise<void>;
  /** Reports `workload` to the sink from now on, and returns what is known of it now, without I/O. */
  watch(workload: Workload): Observation;
  unwatch(workload: Workload): void;
  /**
   * A watched workload doesn't answer although it is said to run: has it looked at again, soon. Absent where nothing can
   * have been missed.
   */
  look?(workload: Workload): void;
  /**
   * Has every watched workload looked at again, as a safety net for what no event has told; resolves when all were. Absent
   * where nothing can have been missed.
   */
  recheck?(): Promise<void>;
  /** The containers that Compose has made for its services, as they are known, without I/O; undefined before the first list. */
  composed?(): readonly ComposedContainer[] | undefined;
  /** Whether what answers is such an engine at all, as far as is known. Absent where whatever answers is one. */
  readonly isThere?: boolean;
  /** Other labels count from now on, after a reload. Absent where workloads have none. */
  setLabelOptions?(options: LabelOptions): void;
  /** Whether observations have to tell `memoryLimitBytes`, also of what is at rest. Absent where the engine doesn't tell that. */
  setNeedsLimits?(needsLimits: boolean): void;
  /** Whether the proxy joins the workloads' networks from now on, after a reload. Absent where there are none to join. */
  setJoinNetworks?(joinNetworks: boolean): void;
  /**
   * Starts or unpauses. Waits for an engine that is away. Success where it already runs. When it resolves, the sink
   * has been told a state at least as new as the result.
   * @throws {WakeError} when the engine refuses; an AbortError when `signal` aborts.
   */
  wake(workload: Workload, options: { readonly signal: AbortSignal }): Promise<void>;
  /**
   * Stops. Fails at once while the engine is away. Success where it is already stopped. When it resolves, the sink
   * has been told a state at least as new as the result.
   * @param options.graceMs time between the polite signal and the kill; undefined = the workload's own.
   * @param options.evenInUse whether it is to sleep although a client of another proxy may use it.
   * @param options.stopSignal the polite signal, such as `SIGINT`; undefined = the workload's own, as where the engine takes no other.
   */
  sleep(
    workload: Workload,
    options: {
      readonly graceMs: number | undefined;
      readonly evenInUse: boolean;
      readonly stopSignal?: string | undefined;
    },
  ): Promise<void>;
  /**
   * Pauses what runs; `wake` ends that. Fails at once while the engine is away. Success where it is already paused, or down. When it
   * resolves, the sink has been told a state at least as new as the result. Absent where nothing can be paused.
   * @throws {CannotPause} where it runs on because the engine can't pause it.
   */
  pause?(workload: Workload): Promise<void>;
  /**
   * Runs a command inside a workload that runs, of a local process beside it, and resolves with its exit status. What it prints is
   * thrown away. Absent where that can't be done.
   * @throws where it can't be run; the signal's reason when it aborts.
   */
  runCommand?(
    workload: Workload,
    options: { readonly command: readonly string[]; readonly signal: AbortSignal },
  ): Promise<number>;
  /**
   * The last lines that a workload, or its own health check, has printed in its last run, oldest first; none where it has
   * printed nothing. Bounded in bytes and in time. They may hold secrets, and are as the workload wrote them.
   * @throws where they can't be read; absent where the engine keeps none.
   */
  readOutput?(workload: Workload, request: OutputRequest): Promise<readonly string[]>;
  /**
   * The bytes of memory that a running workload takes, as its engine counts them. Asked for only while somebody looks.
   * @throws where it can't be told; absent where the engine doesn't count.
   */
  measureMemory?(workload: Workload, signal: AbortSignal): Promise<number>;
  /**
   * Why a start has failed, in the engine's words, where no event tells it: asked for once, then. Bounded in time.
   * Undefined where it is not known, or can't be asked; never rejects. Absent where observations tell all there is.
   */
  explain?(workload: Workload): Promise<string | undefined>;
  /**
   * Told when the first client begins to use a workload and when the last one has left, where several proxies may serve
   * the same workloads; no I/O is waited for.
   */
  setInUse?(workload: Workload, use: { readonly inUse: boolean }): void;
  /** Stops observing and frees everything; ends the workloads it owns. Idempotent. */
  close(): Promise<void>;
  /** Does at once what `close()` does politely: kills the workloads it owns, waits for nothing. Idempotent. */
  destroy(): void;
}

/** Whose labels, or annotations, count. */
export interface LabelOptions {
  /** False leaves every workload out. */
  readonly labels: boolean;
  /** A workload is told of when it has `<prefix>.enabled`, whatever its value, or what was meant to be that. */
  readonly labelPrefixes: LabelPrefixes;
  /** False leaves out what a container has from its image; default true. Only containers have such labels. */
  readonly imageLabels?: boolean;
}

export interface OutputRequest {
  readonly of: 'workload' | 'check';
  /** How many at most; at least 1. */
  readonly lines: number;
  readonly signal: AbortSignal;
}

export interface BackendSink {
  /** A watched workload was looked at: `key` is its workloadKey. The same observation may be told twice. */
  observed(key: string, observation: Observation): void;
  /**
   * The run of a watched workload that was observed last is over; what the workload does now is told once it was looked at. Another
   * one may have its address already.
   * @param how.byOthers somebody has stopped, killed or removed it.
   */
  runEnded?(key: string, how: { readonly byOthers: boolean }): void;
  /** Everything the engine's labels say at this moment, whole; told again whenever it changes. */
  labelled(snapshot: readonly LabelledWorkload[]): void;
  /** Workloads may have appeared, gone or got other names, also such as don't opt in; told once for each burst of that. */
  populated?(): void;
  /** A workload has another name now, by whomever; told before it is looked at under either. */
  renamed?(from: WorkloadRef, to: WorkloadRef): void;
  /** A workload was started, by whomever; told also of those that nobody watches. */
  started?(workload: WorkloadRef): void;
  /** What the proxy itself runs in: putting it to sleep would end the proxy. Told again whenever it is found out again. */
  own?(refs: readonly WorkloadRef[]): void;
  /** Whether the engine answers; told on each change. */
  reachable(reachable: boolean, reason?: string): void;
  /** Told, whole, where several proxies may serve the same workloads, and again on each change. */
  shared?(view: SharedView): void;
}

/** What other proxies do with the same workloads. */
export interface SharedView {
  /** Whether this proxy is the one that puts workloads to sleep; before it is told, it is not. */
  readonly isSleeper: boolean;
  /** Keys of the workloads that something beside this proxy keeps awake. */
  readonly heldElsewhere: ReadonlySet<string>;
}

/** A workload whose labels, or annotations, try to opt in. */
export interface LabelledWorkload {
  readonly ref: WorkloadRef;
  /** All its labels, as the engine tells them; in Kubernetes its annotations, the opting-in label among them. */
  readonly labels: Readonly<Record<string, string>>;
  /** When it was made, ms since the epoch; undefined where that isn't known. */
  readonly createdMs?: number | undefined;
  /** The label that would opt it in, where that counts as its image's, and those of images don't count. */
  readonly imageOptIn?: string;
}

/** A container of a Compose project, by its labels. */
export interface ComposedContainer {
  /** Without a slash in front. */
  readonly name: string;
  readonly project: string;
  /** The name of its service in the project. */
  readonly service: string;
  /** What its service needs, as Compose has written it: `db:service_healthy:false,cache:service_started:true`. */
  readonly dependsOn: string;
}

/** The engine refused to start a workload; the message says why and is fit for the log. */
export class WakeError extends Error {
  readonly code = 'WAKE_REFUSED';
}

/** The engine can't pause a workload; the message says why. */
export class CannotPause extends Error {
  readonly code = 'CANNOT_PAUSE';
}
