/**
 * A signal that aborts with the first of `sources` that aborts.
 * AbortSignal.any is not used: it keeps dependent signals alive as long as their longest-lived source.
 * The caller must `unlink()` when done.
 */
export function linkSignals(sources: readonly AbortSignal[]): {
  readonly signal: AbortSignal;
  unlink(): void;
} {
  const controller = new AbortController();
  const abort = () => {
    const source = sources.find((candidate) => candidate.aborted);
    controller.abort(source?.reason);
  };
  for (const source of sources) source.addEventListener('abort', abort, { once: true });
  if (sources.some((source) => source.aborted)) abort();
  return {
    signal: controller.signal,
    unlink() {
      for (const source of sources) source.removeEventListener('abort', abort);
    },
  };
}
