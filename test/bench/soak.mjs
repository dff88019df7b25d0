/**
 * A day in small: 200,000 connections of mixed kinds through the program, `npm run bench:soak`. `--connections N`,
 * `--short` (20,000), `--relay stream|splice`. Beside the service that echoes there are one that resets after its answer,
 * one whose workload doesn't exist, with clients that wait for it and leave, and one that is put to sleep and woken again
 * and again. The load comes in two halves, with a rest and a garbage collection after each: what JavaScript has left then is held
 * by somebody. Fails where bytes differ, descriptors or pipes are left, or the second half leaves more memory than the first.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ensureInstalled, ROOT } from '../../scripts/ensure-installed.mjs';
import { runCommand } from '../../scripts/run-command.mjs';
import { findFreePorts } from './bed/ports.mjs';
import { KINDS, kindOf } from './soak/kinds.mjs';
import { visitNapper } from './soak/naps.mjs';
import { countDescriptors, readMemory } from './soak/process-state.mjs';

/** At once. */
const CLIENTS = 64;
/** For one half. */
const MAX_MINUTES = 5;
/** Who waits for the workload that doesn't exist is sent away after that. */
const START_TIMEOUT_SECONDS = 5;
/** Until the last of them is gone, and the relay thread has then ended for want of work (8 s). */
const REST_MS = 12_000 + START_TIMEOUT_SECONDS * 1_000;
/** What two equal halves may differ by in MiB, JavaScript's objects and buffers: 10 bytes for each of 100,000 connections. */
const MAX_HEAP_GROWTH_MIB = 1;
/** The same for the memory of the process. The allocator keeps some of what it once had, so this finds coarser leaks alone. */
const MAX_GROWTH_MIB = 16;

const { values: flags } = parseArgs({
  options: {
    connections: { type: 'string' },
    short: { type: 'boolean', default: false },
    relay: { type: 'string', default: 'splice' },
  },
});
const folder = await mkdtemp(path.join(tmpdir(), 'lazy-proxy-soak-'));
let proxy;
try {
  process.exitCode = await soak(Number(flags.connections ?? (flags.short ? 20_000 : 200_000)));
} finally {
  if (proxy !== undefined && proxy.exitCode === null) {
    proxy.kill();
    await new Promise((resolve) => proxy.once('exit', resolve));
  }
  await rm(folder, { recursive: true, force: true });
}

/** Runs and prints; returns the exit status. */
async function soak(connections) {
  // Of those that no outgoing connection gets: one that had the port of the sleeper would keep it from waking.
  const [echo, blunt, absent, echoTarget, bluntTarget, port, target] = await findFreePorts(7);
  const ports = { echo, blunt, absent };
  const nap = { port, target };
  proxy = await startProxy({ ports, nap, echoTarget, bluntTarget });
  // What stays awake all the time has its descriptors from here on.
  for (const kind of [KINDS.tiny, KINDS['answer and reset'], KINDS.impatient]) await kind.run(ports);
  await sleep(REST_MS);
  const before = countDescriptors(proxy.pid);
  const startMs = performance.now();
  const halves = [];
  for (const count of [Math.ceil(connections / 2), Math.floor(connections / 2)]) {
    halves.push(await loadAndRest({ ports, nap, connections: count }));
  }
  const seconds = (performance.now() - startMs - halves.length * REST_MS) / 1000;
  const after = countDescriptors(proxy.pid);
  const [first, second] = halves;
  console.log(`${connections.toLocaleString('en')} connections in ${seconds.toFixed(0)} s by ${flags.relay}`);
  for (const name of Object.keys(KINDS)) console.log(`  ${name}: ${first.done[name] + second.done[name]}`);
  console.log(`  wakes of a service that sleeps in between: ${first.naps.wakes + second.naps.wakes}`);
  console.log(`descriptors: ${before.descriptors} before, ${after.descriptors} after`);
  console.log(`pipes: ${before.pipes} before, ${after.pipes} after`);
  for (const { peak, kept, heap } of halves) {
    const [most, left, held] = [peak, kept, heap].map((mib) => `${mib.toFixed(1)} MiB`);
    console.log(`memory of a half: ${most} at most, ${left} after it, of which JavaScript holds ${held}`);
  }
  const total = first.total + second.total;
  const faults = [
    ...halves.flatMap((half) => [...half.faults, ...half.naps.faults]),
    ...(halves.some(({ naps }) => naps.wakes === 0) ? ['nothing was put to sleep'] : []),
    ...(after.descriptors > before.descriptors ? ['descriptors were left open'] : []),
    ...(after.pipes > before.pipes ? ['pipes were left open'] : []),
    ...(second.heap > first.heap + MAX_HEAP_GROWTH_MIB ? ['JavaScript held more after the second half'] : []),
    ...(second.kept > first.kept + MAX_GROWTH_MIB ? ['the second half kept more memory than the first'] : []),
    ...(total < connections ? [`only ${total} connections within ${2 * MAX_MINUTES} minutes`] : []),
  ];
  for (const fault of faults.slice(0, 10)) console.log(`✗ ${fault}`);
  if (faults.length === 0) console.log('every byte came back, and nothing was left');
  return faults.length === 0 ? 0 : 1;
}

/** One half: its connections, and in MiB the most memory seen meanwhile and what was kept after it, in all and by JavaScript. */
async function loadAndRest({ ports, nap, connections }) {
  const memory = [];
  const done = new AbortController();
  const napping = visitNapper({ ...nap, signal: done.signal });
  const counts = await load({ ports, connections, onProgress: () => memory.push(readMemory(proxy.pid)) });
  done.abort();
  const naps = await napping;
  await sleep(REST_MS);
  proxy.kill('SIGUSR2');
  const [held] = await once(proxy.stdio[3], 'data');
  return {
    ...counts,
    naps,
    peak: Math.max(...memory),
    kept: readMemory(proxy.pid),
    heap: Number(held) / 2 ** 20,
  };
}

async function load({ ports, connections, onProgress }) {
  const done = Object.fromEntries(Object.keys(KINDS).map((name) => [name, 0]));
  const faults = [];
  const deadlineMs = performance.now() + MAX_MINUTES * 60_000;
  let total = 0;
  const work = async () => {
    while (total < connections && performance.now() < deadlineMs) {
      const name = kindOf(total++);
      if (total % Math.ceil(connections / 40) === 0) onProgress();
      await KINDS[name].run(ports).then(
        () => done[name]++,
        (error) => faults.push(`${name}: ${error.message}`),
      );
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, work));
  return { done, faults, total };
}

async function startProxy({ ports, nap, echoTarget, bluntTarget }) {
  await ensureInstalled();
  const { status, output } = await runCommand('npm', ['run', 'build'], { cwd: ROOT, quiet: true });
  if (status !== 0) throw new Error(`the build failed:\n${output}`);
  const { bin } = JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8'));
  const file = path.join(folder, 'lazy-proxy.yaml');
  const serve = (script, { port, target, idleTimeout }) => ({
    command: [process.execPath, path.join(import.meta.dirname, 'soak', script), String(target)],
    ports: [`127.0.0.1:${port}:${target}`],
    idle_timeout: idleTimeout,
  });
  const services = {
    echo: serve('echo.mjs', { port: ports.echo, target: echoTarget, idleTimeout: '1h' }),
    blunt: serve('blunt.mjs', { port: ports.blunt, target: bluntTarget, idleTimeout: '1h' }),
    nap: serve('echo.mjs', { ...nap, idleTimeout: '1s' }),
    // Who has sent something and closed looks like one who waits for an answer, and is kept as long as that.
    absent: {
      container: 'absent',
      ports: [`127.0.0.1:${ports.absent}:80`],
      start_timeout: START_TIMEOUT_SECONDS,
    },
  };
  // Nobody listens there: whoever wants a container waits for its engine.
  const docker = { labels: false, socket: path.join(folder, 'no-engine.sock') };
  const config = { status: 'off', relay: flags.relay, docker, services };
  await writeFile(file, JSON.stringify(config));
  const collector = path.join(import.meta.dirname, 'soak', 'collect-on-signal.mjs');
  const program = ['--expose-gc', '--import', collector, path.join(ROOT, bin['lazy-proxy'])];
  const args = [...program, 'run', '--config', file, '--log-level', 'warn'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] });
  const deadlineMs = performance.now() + 20_000;
  while (performance.now() < deadlineMs) {
    const isUp = await KINDS.empty.run(ports).then(
      () => true,
      () => false,
    );
    if (isUp) return child;
    await sleep(100);
  }
  child.kill();
  throw new Error('the proxy did not come up');
}
