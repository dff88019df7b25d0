/** How the kernel asks the other end of a silent connection whether it is still there (tcp(7)); whole seconds. */
export interface KeepAlive {
  /** Silence before the first probe: TCP_KEEPIDLE. */
  readonly idleSeconds: number;
  /** From one probe to the next: TCP_KEEPINTVL. */
  readonly intervalSeconds: number;
  /** Probes without an answer that end the connection: TCP_KEEPCNT. */
  readonly probes: number;
}

const PROBES = 6;
/** Shorter than a second the kernel doesn't count, and longer than this it refuses (MAX_TCP_KEEPIDLE). */
const MIN_SECONDS = 1;
const MAX_SECONDS = 32_767;

/** Six probes, a sixth of `keepAliveMs` apart, after a silence of that length; undefined for 0, which is off. */
export function planKeepAlive(keepAliveMs: number): KeepAlive | undefined {
  if (keepAliveMs === 0) return undefined;
  const idleSeconds = toSeconds(keepAliveMs);
  return { idleSeconds, intervalSeconds: toSeconds((idleSeconds * 1_000) / PROBES), probes: PROBES };
}

function toSeconds(ms: number): number {
  return Math.min(MAX_SECONDS, Math.max(MIN_SECONDS, Math.ceil(ms / 1_000)));
}
