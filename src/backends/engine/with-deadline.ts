import { abortable } from '../../system/abortable.ts';
import type { Clock } from '../../system/clock.ts';
import { linkSignals } from '../../system/link-signals.ts';
import { EngineUnreachable } from './errors.ts';

/**
 * Does `work` with a signal that aborts after `timeoutMs`, or with `parent`. It settles then, whether or not `work` ever does.
 * @throws {EngineUnreachable} when the time is up; the parent's reason when it aborts.
 */
export async function withDeadline<T>(
  work: (signal: AbortSignal) => Promise<T>,
  options: { readonly clock: Clock; readonly timeoutMs: number; readonly parent?: AbortSignal },
): Promise<T> {
  const { clock, timeoutMs, parent } = options;
  const deadline = new AbortController();
  const { signal, unlink } = linkSignals(
    parent === undefined ? [deadline.signal] : [parent, deadline.signal],
  );
  const cancel = clock.schedule(timeoutMs, () => {
    deadline.abort(silence(timeoutMs));
  });
  try {
    signal.throwIfAborted();
    return await abortable(work(signal), signal);
  } finally {
    cancel();
    unlink();
  }
}

export function silence(timeoutMs: number): EngineUnreachable {
  return new EngineUnreachable(`no answer within ${timeoutMs / 1000} s`);
}
