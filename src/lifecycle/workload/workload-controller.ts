import type { SharedView } from '../../backends/backend.ts';
import type { Observation } from '../../model/observation.ts';
import type { Protocol, TargetPort } from '../../model/service.ts';
import type { Workload } from '../../model/workload.ts';
import type { ControllerObserver } from './controller-observer.ts';
import type { WorkloadRun } from '../run/workload-run.ts';
import type { Lease } from './lease-book.ts';
import { LifecycleRunner } from './lifecycle-runner.ts';
import { isWaking, type LifecycleState, mayRun } from './machine.ts';
import { Refusal } from '../refusal.ts';
import { RunEndpoints } from '../run/run-endpoints.ts';
import { SharedUse } from './shared-use.ts';
import type { ControllerParts, LifecyclePolicy, Subject } from './subject.ts';
import type { WaitingRoom } from '../clients/waiting-room.ts';
import type { WakeRecord } from './wake-record.ts';
import type { WarmPaths } from './warm-paths.ts';

export interface ControllerOptions extends ControllerParts {
  readonly workload: Workload;
  readonly policy: LifecyclePolicy;
  readonly observer: ControllerObserver;
}

/** Keeps one workload in the state that its leases ask for: see also `pass-gate.ts`. `close()` ends it. */
export class WorkloadController {
  readonly #options: ControllerOptions;
  readonly #runner: LifecycleRunner;
  readonly #shared: SharedUse;
  #subject: Subject;

  constructor(options: ControllerOptions) {
    const { workload, policy, observer } = options;
    this.#options = options;
    this.#subject = { workload, policy, retired: false };
    this.#runner = new LifecycleRunner(this.#subject, {
      ...options,
      observer: {
        changed: () => this.#changed(),
        leased: () => this.#leasesChanged(),
        acted: (act) => observer.acted(this, act),
      },
    });
    const { backend } = options;
    this.#shared = new SharedUse({ backend, leases: this.#runner.leases, workload: () => this.workload });
  }

  get workload(): Workload {
    return this.#subject.workload;
  }

  get policy(): LifecyclePolicy {
    return this.#subject.policy;
  }

  get state(): LifecycleState {
    return this.#runner.state;
  }

  get observation(): Observation {
    return this.#runner.observation;
  }

  /** The present run of the workload; undefined while it doesn't run, or has a health gate to pass first. */
  get currentRun(): WorkloadRun | undefined {
    return this.#runner.currentRun;
  }

  /** The last start that has ended, and why none works, where that is so. */
  get wakes(): Pick<WakeRecord, 'last' | 'failure'> {
    return this.#runner.wakes;
  }

  /** What it had printed last when its start failed, oldest line first: may hold secrets. Empty once a start has worked. */
  get lastOutput(): readonly string[] {
    return this.#runner.output.lines;
  }

  /** What stands between a port of the workload and its clients now, in words; undefined where nothing is known. */
  obstacleTo(target: { readonly protocol: Protocol; readonly port: TargetPort }): string | undefined {
    return this.explainLoop(target) ?? this.#runner.obstacleTo(target);
  }

  /** Why a port of the workload, as it runs, leads back to the proxy itself; undefined where it may lead elsewhere. */
  explainLoop(target: { readonly protocol: Protocol; readonly port: TargetPort }): string | undefined {
    const explainOwn = this.#options.own?.explain;
    if (explainOwn === undefined) return undefined;
    return new RunEndpoints(this.observation, { explainOwn }).explainLoop(target);
  }

  /** How long the workload has waited for its turns to start so far, all together. */
  get queuedMs(): number {
    return this.#runner.queuedMs;
  }

  /**
   * What of somebody's time went on waiting for the workload's turn, which is over now: `, of which it waited 2900 ms for its turn`;
   * undefined where nothing did.
   * @param options.sinceMs `queuedMs` when that time began.
   */
  describeQueue(options: { readonly sinceMs: number }): string | undefined {
    return this.#runner.describeQueue(options);
  }

  get room(): WaitingRoom {
    return this.#runner.room;
  }

  get leases(): number {
    return this.#runner.leases.count;
  }

  get warmPaths(): WarmPaths {
    return this.#runner.warmPaths;
  }

  /** When it was last used, ms since the epoch; at first the moment this controller was made. */
  get lastActiveMs(): number {
    return Math.max(this.#runner.leases.lastActiveMs, this.warmPaths.lastUsedMs);
  }

  /** Of its clock, which never jumps. */
  monotonicMs(): number {
    return this.#options.clock.monotonicMs();
  }

  get retired(): boolean {
    return this.#subject.retired;
  }

  /** Follows the workload, from what its backend knows. */
  start(): void {
    this.observe(this.#options.backend.watch(this.workload));
  }

  observe(observation: Observation): void {
    this.#runner.observe(observation);
  }

  /** New settings, in force at once; a running idle timer counts from where it began. Takes back a retirement. */
  update(workload: Workload, policy: LifecyclePolicy): void {
    this.#setSubject({ workload, policy, retired: false });
    const seen = this.#options.backend.watch(workload);
    // Under a new name it has to be looked at first; what is known of it still holds.
    if (seen.state !== 'unknown') this.observe(seen);
  }

  /** Takes what other proxies do with the same workloads. */
  share(view: SharedView): void {
    this.#shared.take(view);
  }

  /**
   * Whether clients can reach the workload through this proxy. What they can't is served by somebody else, if by anybody, such
   * as another proxy that has its ports: it is not put to sleep for being idle, and has its full idle timeout from when
   * they can.
   */
  setServed({ isServed }: { readonly isServed: boolean }): void {
    this.#runner.setServed({ isServed });
  }

  /** A lease of a client that uses the workload: it is not put to sleep for being idle meanwhile. */
  takeLease(): Lease {
    return this.#runner.leases.take();
  }

  /** A lease of one who is no client, and doesn't wake the workload. */
  guard(): Lease {
    return this.#runner.leases.guard();
  }

  /**
   * A lease that also wakes the workload, and goes on trying until it was awake once. Given back early, what it has asked for
   * is still done.
   * @param options.urgent the start doesn't wait for its turn where many are under way.
   */
  hold(reason: string, { urgent = false }: { readonly urgent?: boolean } = {}): Lease {
    const { leases } = this.#runner;
    const lease = leases.hold({ urgent });
    if (this.state.kind === 'ready') leases.meetAll();
    else this.#runner.ask(reason);
    return lease;
  }

  /** Somebody wants the workload awake; `reason` is for the log. */
  demand(reason: string): void {
    this.#runner.dispatch('demanded', reason);
  }

  prove(): void {
    this.#runner.dispatch('gate-passed');
  }

  /** Ends a gate at which nobody waits; `reason` is why the last one left. */
  endEmptyGate(reason?: unknown): void {
    this.#runner.endEmptyGate(reason);
  }

  /**
   * Puts the workload to sleep now, whoever uses it, unless that is left to another proxy. A start under way can't be
   * called back: what it makes is put to sleep as soon as it is awake, unless somebody uses it then.
   */
  sleep(reason: string): void {
    if (this.#shared.isStandby) return;
    if (isWaking(this.state)) this.#runner.sleepWhenStarted(reason);
    else this.#runner.dispatch('sleep-wanted', reason);
  }

  /**
   * Does what `sleep` does, unless somebody holds a lease on the workload. A start is never cut short: what is in the middle
   * of its first one, say a database that makes its tables, might be broken for good.
   */
  sleepIfUnused(reason: string): void {
    if (this.leases > 0 || this.#shared.isStandby || !this.#runner.isServed) return;
    if (this.#runner.isStarting) this.#runner.sleepWhenStarted(reason);
    else this.sleep(reason);
  }

  /** The service is gone: those who wait are refused, and a workload that the proxy owns ends when it is unused. */
  retire(): void {
    this.#setSubject({ ...this.#subject, retired: true });
    this.room.refuseAll(new Refusal('removed', 'the service was removed'));
    this.#shared.close();
    this.#drain();
  }

  /** Neither starts nor stops the workload from now on, whoever asks. */
  drain(): void {
    this.#runner.drain();
  }

  /** Leaves the workload as it is and lets go of everything. Idempotent. */
  close(): void {
    this.#subject = { ...this.#subject, retired: true };
    this.#runner.close();
  }

  #setSubject(subject: Subject): void {
    this.#subject = subject;
    this.#runner.setSubject(subject);
  }

  #leasesChanged(): void {
    this.#shared.tell();
    this.#options.observer.leased(this);
    this.#drain();
  }

  #changed(): void {
    this.#options.observer.changed(this);
    this.#drain();
  }

  /** After the service went: lets go of the workload as soon as nobody uses it; what the proxy owns has to end first. */
  #drain(): void {
    if (!this.retired || this.#runner.closed || this.leases > 0) return;
    if (this.#options.backend.ownsWorkloads && mayRun(this.state)) return;
    this.#options.backend.unwatch(this.workload);
    this.close();
    this.#options.observer.drained(this);
  }
}
