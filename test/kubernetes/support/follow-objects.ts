import { setTimeout as sleep } from 'node:timers/promises';
import type { AdminClient, KubeObject, WatchEvent } from './admin-client.ts';

export interface ObservedChange extends WatchEvent {
  /** Milliseconds since the epoch at which the watch told it. */
  readonly at: number;
}

/** Follows the objects of one collection; whoever opens it closes it. */
export interface ObjectFollower {
  /** What is there now, by name. */
  readonly current: ReadonlyMap<string, KubeObject>;
  /** Everything told so far. */
  readonly changes: readonly ObservedChange[];
  /** Resolves as soon as `holds` of what is there, with its answer; after `timeoutMs` (default 30 s) an error. */
  until<T>(
    holds: (current: ReadonlyMap<string, KubeObject>) => T,
    options?: { readonly timeoutMs?: number; readonly what?: string },
  ): Promise<NonNullable<T>>;
  close(): void;
}

/** Watches a collection, again and again where the watch ends or the API server is away. */
export function followObjects(client: AdminClient, path: string): ObjectFollower {
  const ended = new AbortController();
  const current = new Map<string, KubeObject>();
  const changes: ObservedChange[] = [];
  const looks = new Set<() => void>();
  const take = (event: WatchEvent) => {
    changes.push({ ...event, at: Date.now() });
    const { name } = event.object.metadata;
    if (event.type === 'DELETED') current.delete(name);
    else current.set(name, event.object);
    for (const look of [...looks]) look();
  };
  void followOn({ client, path, signal: ended.signal, take });
  return {
    current,
    changes,
    until: (holds, { timeoutMs = 30_000, what = 'what the test waits for' } = {}) =>
      new Promise((resolve, reject) => {
        const settle = (finish: () => void) => {
          looks.delete(look);
          clearTimeout(timer);
          finish();
        };
        const look = () => {
          const answer = holds(current);
          if (answer) settle(() => resolve(answer));
        };
        const fail = () =>
          settle(() =>
            reject(new Error(`${what} did not happen within ${timeoutMs} ms: ${describe(changes)}`)),
          );
        const timer = setTimeout(fail, timeoutMs);
        looks.add(look);
        look();
      }),
    close: () => ended.abort(),
  };
}

async function followOn(parts: {
  readonly client: AdminClient;
  readonly path: string;
  readonly signal: AbortSignal;
  readonly take: (event: WatchEvent) => void;
}): Promise<void> {
  const { client, path, signal, take } = parts;
  while (!signal.aborted) {
    try {
      for await (const event of client.watch(path, { signal })) take(event);
    } catch {
      // The API server is away, or the test is over.
    }
    await sleep(50, undefined, { signal }).catch(() => undefined);
  }
}

function describe(changes: readonly ObservedChange[]): string {
  return changes
    .slice(-5)
    .map(({ type, object }) => `${type} ${JSON.stringify({ spec: object.spec, status: object.status })}`)
    .join('\n');
}
