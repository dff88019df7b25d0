/**
 * Makes a signal that aborts with the first of `sources` that aborts. The caller must `unlink()` it when done.
 * AbortSignal.any would keep each signal that it makes alive for as long as the longest-lived source.
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
