import { setTimeout as pass } from 'node:timers/promises';
import { get } from '../../engine/support/http.ts';
import { connectTcp } from '../../engine/support/tcp.ts';

export interface WarmTraffic {
  /** Answers so far: over connections that stay open, and over connections of their own. */
  answers(): { readonly kept: number; readonly fresh: number };
  /** Resolves when as many more answers of each kind have come. */
  untilMore(count: number): Promise<void>;
  /** Ends it. @throws the first fault that there was; what is lost is one. */
  stop(): Promise<void>;
}

const KEPT_CONNECTIONS = 4;
/** Between an answer and the next request. */
const PAUSE_MS = 10;
/** An answer that takes longer is lost. */
const PATIENCE_MS = 2_000;

/** Requests all the time: over connections that are kept to `tcpPort`, and over new ones to `httpPort`. */
export async function startWarmTraffic(options: {
  /** Its pods answer `pod <what was sent>`. */
  readonly tcpPort: number;
  /** Its pods answer `hello`. */
  readonly httpPort: number;
}): Promise<WarmTraffic> {
  const count = { kept: 0, fresh: 0 };
  const ended = new AbortController();
  const kept = await Promise.all(Array.from({ length: KEPT_CONNECTIONS }, () => connectTcp(options.tcpPort)));
  const again = async (ask: () => Promise<string>, kind: keyof typeof count) => {
    while (!ended.signal.aborted) {
      const fault = await ask();
      if (fault !== '') throw new Error(`${kind}: ${fault}, after ${JSON.stringify(count)}`);
      count[kind] += 1;
      await pass(PAUSE_MS);
    }
  };
  const running = Promise.all([
    ...kept.map((client) => again(() => askOver(client), 'kept')),
    again(() => askOnce(options.httpPort), 'fresh'),
  ]);
  // Told by `stop()` and by `untilMore()`.
  running.catch(() => {});
  return {
    answers: () => ({ ...count }),
    async untilMore(more) {
      const before = { ...count };
      const hasCome = async () => {
        while (count.kept - before.kept < more || count.fresh - before.fresh < more) await pass(PAUSE_MS);
      };
      await Promise.race([hasCome(), running]);
    },
    async stop() {
      ended.abort();
      await running.finally(() => {
        for (const client of kept) client.destroy();
      });
    },
  };
}

async function askOver(client: Awaited<ReturnType<typeof connectTcp>>): Promise<string> {
  await client.send('.');
  const patience = new AbortController();
  const late = pass(PATIENCE_MS, 'no answer', { signal: patience.signal }).catch(() => '');
  const text = await Promise.race([client.readAtLeast(5).then(String), late]);
  patience.abort();
  return text === 'pod .' ? '' : `got "${text}"`;
}

async function askOnce(port: number): Promise<string> {
  const { body } = await get(port, { timeoutMs: PATIENCE_MS });
  return body === 'hello' ? '' : `got "${body}"`;
}
