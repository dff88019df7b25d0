/** HTTP that is forwarded request by request: small answers on kept connections, a big body, clients that do nothing. */
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readCpuSeconds, readPrivateDirtyBytes } from '../bed/proc-files.mjs';
import { runToEnd, startTalker } from '../bed/program.mjs';
import { runRounds } from '../bed/rounds.mjs';
import { BIG_BYTES } from '../bed/upstream-files.mjs';
import { runWrk } from '../bed/wrk.mjs';
import { WEB_HOST } from '../peers/lazy-proxy.mjs';
import { createDirect, startPeers } from '../peers/start-peers.mjs';

const CLIENTS = 32;
/** What compiles itself while it runs needs some of them, more on a busy machine. */
const WARM_UP_SECONDS = 4;
const IDLE_CLIENTS = 1_000;
const BODY_TIMEOUT_MS = 120_000;
const IDLE_CLIENT = path.join(import.meta.dirname, '../bed/held-client.mjs');
const [KIB, MIB] = [1_024, 1_048_576];

export const http = { name: 'http', needs: ['wrk', 'nginx', 'curl'], measure: measureHttp };

async function measureHttp(bed) {
  const idle = await bed.cleanup.scope(() => measureIdleClients(bed));
  return [...(await bed.cleanup.scope(() => measureLoad(bed))), ...idle];
}

/** All peers have done the same work before their memory is looked at, and nothing while it is waited for. */
async function measureLoad(bed) {
  const target = bed.upstream.ports.http;
  const started = await startPeers(bed, { target, protocols: ['http'] });
  const [rounds, seconds, settleMs, afterMs] = bed.quick ? [1, 2, 1_000, 5_000] : [5, 5, 10_000, 60_000];
  await sleep(settleMs);
  const before = started.map(({ pid }) => readPrivateDirtyBytes(pid));
  const measured = await runRounds([...started, createDirect({ ...bed.upstream, port: target })], {
    ...{ rounds, log: bed.log },
    warmUp: (peer) => askSmall(bed, peer, WARM_UP_SECONDS),
    work: async (peer) => ({
      ...(await askSmall(bed, peer, seconds)),
      ...(!peer.asksNobody && (await askBig(bed, peer))),
    }),
  });
  bed.log(`  waiting for ${afterMs / 1_000} s`);
  await sleep(afterMs);
  const memory = started.map(({ id, pid }, index) => {
    const more = (readPrivateDirtyBytes(pid) - (before[index] ?? 0)) / MIB;
    return { metric: 'http-memory', peer: id, samples: [more] };
  });
  return [...measured, ...memory];
}

async function askSmall(bed, { host, port, pid }, seconds) {
  const before = cpuSecondsOf(pid);
  const { perSecond, p50Ms, p99Ms } = await runWrk(bed, {
    ...{ host, port, seconds, connections: CLIENTS, path: '/small', headers: [`Host: ${WEB_HOST}`] },
  });
  const perRequest = (cpuSecondsOf(pid) - before) / (perSecond * seconds);
  return {
    ...{ 'http-requests': perSecond, 'http-p50': p50Ms * 1_000, 'http-p99': p99Ms * 1_000 },
    ...(pid !== undefined && { 'http-request-cpu': perRequest * 1e6 }),
  };
}

async function askBig(bed, { host, port, pid }) {
  const before = cpuSecondsOf(pid);
  const args = ['-sSf', '-o', '/dev/null', '-w', '%{size_download} %{time_total}', '-H', `Host: ${WEB_HOST}`];
  const text = await runToEnd(bed.tools.curl, [...args, `http://${host}:${port}/big`], {
    ...{ timeoutMs: BODY_TIMEOUT_MS, children: bed.children },
  });
  const [bytes, seconds] = text.split(' ').map(Number);
  if (bytes !== BIG_BYTES) throw new Error(`a body of ${BIG_BYTES} bytes came with ${bytes}`);
  return {
    'http-body': bytes / seconds / 1e6,
    ...(pid !== undefined && { 'http-body-cpu': cpuSecondsOf(pid) - before }),
  };
}

/** Each has asked once, and keeps its connection. */
async function measureIdleClients(bed) {
  const started = await startPeers(bed, { target: bed.upstream.ports.http, protocols: ['http'] });
  const settleMs = bed.quick ? 2_000 : 10_000;
  await sleep(settleMs);
  return await runRounds(started, {
    ...{ rounds: 1, log: bed.log },
    work: ({ label, host, port, pid }) =>
      bed.cleanup.scope(async () => {
        const before = readPrivateDirtyBytes(pid);
        const args = [IDLE_CLIENT, host, String(port), String(IDLE_CLIENTS)];
        const starting = startTalker([process.execPath, ...args]);
        const client = await bed.cleanup.own(starting, ({ stop }) => stop());
        const { answered } = await client.hear();
        if (answered < IDLE_CLIENTS)
          throw new Error(`${label} answered ${answered} of ${IDLE_CLIENTS} clients`);
        await sleep(settleMs);
        return { 'http-idle-client': (readPrivateDirtyBytes(pid) - before) / KIB / answered };
      }),
  });
}

function cpuSecondsOf(pid) {
  return pid === undefined ? 0 : readCpuSeconds(pid);
}
