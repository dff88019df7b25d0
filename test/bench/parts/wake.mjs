/**
 * What the proxy adds to a cold start: the time to the first byte through it, less that of starting the container
 * through the engine's API and asking the server itself, in alternation.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { askForByte, askUntilByte } from '../bed/first-byte.mjs';
import { findFreePorts } from '../bed/ports.mjs';
import { startPeer } from '../peers/start-peers.mjs';
import { PRODUCT } from '../report/metrics.mjs';

const TIMEOUT_MS = 20_000;
/** The engine tidies up after a container for a while. */
const SETTLE_MS = 300;

export const wake = { name: 'wake', needs: [], measure: measureWake };

async function measureWake(bed) {
  const { upstream } = bed;
  const target = upstream.ports.page;
  const cmd = ['httpd', '-f', '-p', String(target), '-h', '/'];
  const sleeper = await upstream.createContainer('sleeper', { cmd, host: 20 });
  const [listen, statusPort] = await findFreePorts(2);
  const peer = bed.peers.find(({ id }) => id === PRODUCT);
  const routes = [{ ...sleeper, listen, target, protocols: ['tcp'] }];
  const proxy = await startPeer(bed, peer, { routes, statusPort });
  const ways = {
    lazy: () => wakeThrough(proxy),
    direct: () => wakeDirectly(upstream, { sleeper, target }),
  };
  const times = { lazy: [], direct: [] };
  const rounds = bed.quick ? 5 : 30;
  for (let round = -1; round < rounds; round += 1) {
    for (const [way, wakeUp] of Object.entries(ways)) {
      const beginMs = performance.now();
      await wakeUp();
      // The first round warms up.
      if (round >= 0) times[way].push(performance.now() - beginMs);
      await putToSleep(upstream, { sleeper, statusPort });
    }
  }
  bed.log(`  ${rounds} cold starts each`);
  const overhead = times.lazy.map((ms, index) => ms - times.direct[index]);
  return [
    { metric: 'wake-overhead', peer: PRODUCT, samples: overhead },
    { metric: 'wake-time', peer: PRODUCT, samples: times.lazy },
    { metric: 'wake-time', peer: 'direct', samples: times.direct },
  ];
}

async function wakeThrough({ host, port }) {
  const answered = await askForByte({ host, port, timeoutMs: TIMEOUT_MS });
  if (!answered) throw new Error('a client that woke the container got no answer');
}

async function wakeDirectly(upstream, { sleeper, target }) {
  await upstream.start(sleeper);
  await askUntilByte({ host: sleeper.address, port: target, timeoutMs: TIMEOUT_MS });
}

async function putToSleep(upstream, { sleeper, statusPort }) {
  await upstream.kill(sleeper);
  const deadlineMs = performance.now() + TIMEOUT_MS;
  while ((await upstream.isRunning(sleeper)) || (await seesItRunning(statusPort))) {
    if (performance.now() > deadlineMs) throw new Error('the container does not stop');
    await sleep(20);
  }
  await sleep(SETTLE_MS);
}

async function seesItRunning(statusPort) {
  const response = await fetch(`http://127.0.0.1:${statusPort}/status`);
  return (await response.json()).some(({ running }) => running);
}
