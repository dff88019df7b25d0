import { setTimeout as sleep } from 'node:timers/promises';
import { Engine } from './engine.mjs';
import { ProxyProcess } from './proxy-process.mjs';
import { watchStalls } from './watch-stalls.mjs';

const STORM_MS = 1_000;

/** Between two looks at the status, which itself holds up the proxy. */
const LOOK_MS = 100;
const MAX_LOOKS = 300;

/** So many labelled containers, all running: the time of the start, ms, and the engine calls that it took. */
export async function measureLabels({ dist, size, events, args }) {
  const engine = await Engine.start({ size, labelled: true, running: true });
  const proxy = new ProxyProcess({ dist, engine: engine.socket, args });
  try {
    const { ms, line } = await proxy.start();
    if (line.services !== size) throw new Error(`${line.services} services are ready instead of ${size}`);
    const calls = await engine.ask({ kind: 'count' });
    const storm = events === undefined ? undefined : await measureStorm({ proxy, engine, events });
    return { startMs: ms, calls, storm };
  } finally {
    await proxy.stop();
    await engine.close();
  }
}

/** So many events in a second, and what follows: until the status says what the engine does. */
async function measureStorm({ proxy, engine, events }) {
  const before = await engine.ask({ kind: 'count' });
  const cpuMs = proxy.cpuMs();
  const { result: caughtUpMs, longestMs: stallMs } = await watchStalls(proxy.statusPort, async () => {
    const { running } = await engine.ask({ kind: 'storm', events, durationMs: STORM_MS });
    const startMs = performance.now();
    await untilStatusSays(proxy, new Set(running));
    return performance.now() - startMs;
  });
  const { inspect, list } = await engine.ask({ kind: 'count' });
  const calls = inspect + list - before.inspect - before.list;
  return { caughtUpMs, stallMs, calls, cpuMs: proxy.cpuMs() - cpuMs };
}

async function untilStatusSays(proxy, running) {
  let wrong = [];
  for (let look = 0; look < MAX_LOOKS; look++) {
    const rows = await proxy.ask('/status');
    wrong = rows.filter((row) => row.running !== running.has(row.container_name));
    if (wrong.length === 0) return;
    await sleep(LOOK_MS);
  }
  throw new Error(`the proxy never caught up, as with ${JSON.stringify(wrong[0])}`);
}
