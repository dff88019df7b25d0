import type { Cancel, Clock } from '../clock.ts';

/** Runs `task` again and again, each time `everyMs` after the last run has ended; the returned function ends that. */
export function repeat(
  task: () => Promise<void>,
  { clock, everyMs }: { readonly clock: Clock; readonly everyMs: number },
): Cancel {
  let cancel: Cancel | undefined;
  let ended = false;
  const arm = () => {
    if (!ended) cancel = clock.schedule(everyMs, () => void task().finally(arm));
  };
  arm();
  return () => {
    ended = true;
    cancel?.();
  };
}
