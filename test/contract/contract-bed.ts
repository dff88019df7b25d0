import type { Backend } from '../../src/backends/backend.ts';
import type { Workload } from '../../src/model/workload.ts';
import type { ToldSink } from './told-sink.ts';

/** What only some engines can do; a case that needs it is left out where it is missing. */
export interface BedFeatures {
  /** Workloads opt in with labels. */
  readonly labels: boolean;
  /** Others than the backend can start, stop and remove workloads, which outlive the backend. */
  readonly outside: boolean;
  /** There is an engine that can be away. */
  readonly outage: boolean;
}

/** One test's part of an engine, with backends on it; all of it goes when the test has finished. */
export interface ContractBed {
  /** A backend that was not opened yet; every one of a bed sees the same engine. */
  createBackend(): Backend;
  /** A workload that sleeps, answers HTTP when it is awake, and takes some 300 ms to stop; its labels opt in. */
  createWorkload(): Promise<ContractWorkload>;
  /** Something that can't be started, since it doesn't exist. */
  nameMissing(): Workload;
  /** Whether a backend may put workloads to sleep by now, as far as it has told; default: from the beginning. */
  maySleep?(sink: ToldSink): boolean;
  /** Takes the engine away from the backends alone: who starts and stops from outside still reaches it. */
  readonly outage?: { begin(): Promise<void>; end(): Promise<void> };
}

export interface ContractWorkload {
  readonly workload: Workload;
  /** Where it answers, in the workload's own terms. */
  readonly targetPort: number;
  /** How often it was started so far, as the engine knows it. */
  starts(): Promise<number>;
  readonly outside?: OutsideHand;
}

/** What somebody else does; each resolves when the engine has done it. */
export interface OutsideHand {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Also while it runs. */
  remove(): Promise<void>;
  /** Under the same name, asleep. */
  recreate(): Promise<void>;
}
