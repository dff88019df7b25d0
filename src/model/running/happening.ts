import type { Sleep } from './sleep.ts';
import type { Wake, WakePhase } from './wake.ts';
import type { Life } from './workload-report.ts';

/** Something that whoever watches the proxy wants to know at once. What a workload does is told of each service that has it. */
export type Happening = Occurrence & {
  /** The other services of which the same is told. */
  readonly sharesWith?: readonly string[];
};

type Occurrence =
  /** A workload has come into another state; `reason` as the log has it. */
  | {
      readonly kind: 'state';
      readonly service: string;
      readonly state: string;
      readonly life: Life;
      readonly reason?: string;
    }
  /** A wake has come into another phase. */
  | { readonly kind: 'wake'; readonly service: string; readonly cause: string; readonly phase: WakePhase }
  /** A wake has ended. */
  | { readonly kind: 'woken'; readonly service: string; readonly wake: Wake }
  | { readonly kind: 'sleep'; readonly service: string; readonly sleep: Sleep }
  /**
   * The first lease on a workload that is awake has begun, or the last one has ended; once a second at most. `sleepsAtMs`, ms since the
   * epoch: when it goes to sleep if nobody comes until then; undefined = not by being idle.
   */
  | {
      readonly kind: 'use';
      readonly service: string;
      readonly inUse: boolean;
      readonly sleepsAtMs: number | undefined;
    }
  /** Clients were refused, or left without an upstream; `more` of them since the last one that was told. */
  | {
      readonly kind: 'refusal';
      readonly service: string;
      readonly client: string;
      readonly reason: string;
      readonly more: number;
    }
  /** Another configuration is in force, or what is in the file now is refused, or what is in force is in the file again. */
  | {
      readonly kind: 'reload';
      readonly result: 'applied' | 'refused';
      readonly generation: number;
      readonly problems: number;
    };
