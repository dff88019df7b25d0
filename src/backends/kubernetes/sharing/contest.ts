/**
 * Finds out whether something else keeps setting a workload's replicas back after the proxy has put it to sleep: an HPA or
 * a GitOps tool that owns them would do so for ever, and neither side would win. Input: what happens to the replicas,
 * one step after the other. Output: the workload's standing. Pure.
 *
 *   step                                                          undone in a row   contested by
 *   we scale to 0                                                 -                 -
 *   another sets it back within UNDO_WINDOW_MS                    + 1               the other, from TOLERATED on
 *   another sets it back later, or one of us wakes it             0                 -
 *   another scales it to 0                                        0                 nobody
 *   RETRY_AFTER_MS pass, or its spec is changed otherwise         one less          nobody, until it is undone once more
 */
export interface Standing {
  /** When we put it to sleep and nothing has woken it since; of the monotonic clock. */
  readonly sleptAtMs: number | undefined;
  readonly undoneInARow: number;
  /** Who sets the replicas back; undefined while nobody does. */
  readonly contestedBy: string | undefined;
}

/** A tool may be reconfigured without a sign in the cluster. */
export const RETRY_AFTER_MS = 60 * 60_000;

/** A change of a workload's wanted replicas, or our own sleep, which is known before it is observed. */
export type ReplicasStep =
  | { readonly kind: 'slept'; readonly atMs: number }
  /** Its spec has changed, or an hour has passed: nobody may contest it any more. */
  | { readonly kind: 'reconsidered' }
  | {
      readonly kind: 'changed';
      readonly atMs: number;
      readonly before: number;
      readonly after: number;
      /** Who set `after`; empty where the API server doesn't say. */
      readonly managers: readonly string[];
    };

/** The name under which every replica of the proxy writes. */
export const FIELD_MANAGER = 'lazy-proxy';

/** GitOps tools look every few minutes; a later change is more likely a person's wish. */
export const UNDO_WINDOW_MS = 5 * 60_000;
/** Once may be a coincidence. */
const TOLERATED = 2;

export const UNCONTESTED: Standing = { sleptAtMs: undefined, undoneInARow: 0, contestedBy: undefined };

/** The standing after a step; the very same object where nothing changes. */
export function judge(standing: Standing, step: ReplicasStep): Standing {
  if (step.kind === 'slept') return { ...standing, sleptAtMs: step.atMs };
  if (step.kind === 'reconsidered') {
    if (standing.contestedBy === undefined) return standing;
    return { ...UNCONTESTED, undoneInARow: TOLERATED - 1 };
  }
  const { managers, atMs } = step;
  const isAsleep = step.after === 0;
  if (isAsleep === (step.before === 0)) return standing;
  // The API server names nobody for a patch of the scale to 0 that isn't the proxy's.
  if (isAsleep) return managers.includes(FIELD_MANAGER) ? standing : UNCONTESTED;
  return judgeWake(standing, { atMs, other: managers.find((manager) => manager !== FIELD_MANAGER) });
}

function judgeWake(
  standing: Standing,
  { atMs, other }: { readonly atMs: number; readonly other: string | undefined },
): Standing {
  const { sleptAtMs, contestedBy } = standing;
  if (sleptAtMs === undefined) return standing;
  if (other === undefined || atMs - sleptAtMs > UNDO_WINDOW_MS) {
    return { sleptAtMs: undefined, undoneInARow: 0, contestedBy };
  }
  const undoneInARow = standing.undoneInARow + 1;
  return {
    sleptAtMs: undefined,
    undoneInARow,
    contestedBy: undoneInARow >= TOLERATED ? other : contestedBy,
  };
}
