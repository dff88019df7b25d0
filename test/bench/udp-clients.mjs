/**
 * Many UDP clients of the running program, `npm run bench:udp-clients`: queries that each come from a new port, as a
 * resolver sends them (`--rate` a second, 2,000, for `--seconds`, 60, or `--minutes`, 10 at most), and clients that send
 * while the service wakes. Fails where a query is lost, where memory grows over the last third, or where more is kept than
 * `udp_queue_total` allows. Flows end, or make room for others, after 8 to 10 s: only a longer run shows whether memory is
 * flat, so that a shorter one than 90 s has some room for what is still growing.
 */
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ensureInstalled, ROOT } from '../../scripts/ensure-installed.mjs';
import { runCommand } from '../../scripts/run-command.mjs';
import { readMemory, readResident } from './soak/process-state.mjs';

const ANSWER_MS = 2_000;
/** Over the last third of a long run, and what a garbage collector may be late by in a short one. */
const MAX_GROWTH = 0.05;
const LONG_SECONDS = 90;
const MAX_GROWTH_MIB = 12;
const MAX_MINUTES = 10;
/** One line in so long tells the memory. */
const TELL_MS = 15_000;
/** Clients that send so much each while the service wakes. */
const WAKING = { clients: 300, datagrams: 800, bytes: 1_300 };
/** Beside the 32 MiB of `udp_queue_total`: sockets, and what a garbage collector is late by. */
const MAX_WAKING_MIB = 32 + 24;
/** Answers what it is sent; started with a second argument it takes nothing. */
const SERVER = `
const socket = require('node:dgram').createSocket({ type: 'udp4', recvBufferSize: 4194304 });
socket.on('message', (datagram, from) => socket.send(datagram, from.port, from.address));
if (process.argv.length < 3) socket.bind(Number(process.argv[1]), '127.0.0.1');
else setInterval(() => {}, 1e6);
`;

const { values: flags } = parseArgs({
  options: {
    rate: { type: 'string', default: '2000' },
    seconds: { type: 'string', default: '60' },
    minutes: { type: 'string' },
    dist: { type: 'string' },
  },
});
const folder = await mkdtemp(path.join(tmpdir(), 'lazy-proxy-udp-'));
let proxy;
try {
  const ports = { quick: await freePort(), quickTarget: await freePort() };
  Object.assign(ports, { never: await freePort(), neverTarget: await freePort() });
  proxy = await startProxy(ports);
  const faults = [...(await askFromNewPorts(ports.quick)), ...(await sendWhileWaking(ports.never))];
  for (const fault of faults) console.log(`✗ ${fault}`);
  process.exitCode = faults.length === 0 ? 0 : 1;
} finally {
  if (proxy !== undefined && proxy.exitCode === null) {
    proxy.kill();
    await once(proxy, 'exit');
  }
  await rm(folder, { recursive: true, force: true });
}

/** Prints what happened; returns what is wrong with it. */
async function askFromNewPorts(port) {
  const rate = Number(flags.rate);
  const minutes = Number(flags.minutes ?? Number(flags.seconds) / 60);
  const seconds = Math.min(minutes, MAX_MINUTES) * 60;
  const memory = [];
  const asked = { sent: 0, answered: 0 };
  /** Sockets that wait for their answer, oldest first, and since when. */
  const open = new Map();
  const startMs = performance.now();
  let nextSampleMs = 1_000;
  let nextTellMs = TELL_MS;
  for (;;) {
    const elapsedMs = performance.now() - startMs;
    if (elapsedMs > seconds * 1_000) break;
    for (const due = (elapsedMs / 1_000) * rate; asked.sent < due; ) ask(port, { asked, open });
    closeOld(open);
    if (elapsedMs > nextSampleMs) {
      memory.push(readMemory(proxy.pid));
      nextSampleMs += 1_000;
    }
    if (elapsedMs > nextTellMs) {
      const [resident, own] = [readResident(proxy.pid), memory.at(-1) ?? 0];
      const answers = `${asked.answered} of ${asked.sent} answered`;
      console.log(
        `${nextTellMs / 1_000} s: ${own.toFixed(1)} MiB private, ${resident.toFixed(1)} RSS, ${answers}`,
      );
      nextTellMs += TELL_MS;
    }
    await sleep(1);
  }
  await sleep(ANSWER_MS + 1);
  closeOld(open);
  const perSecond = Math.round(asked.sent / seconds);
  // A garbage collector goes up and down: its usual height early and late in the last third is what can be compared.
  const third = memory.slice(Math.floor((memory.length * 2) / 3));
  const part = Math.ceil(third.length / 3);
  const [early, last] = [third.slice(0, part), third.slice(-part)].map(median);
  const growth = (last - early) / early;
  const isGrowing = seconds < LONG_SECONDS ? last > early + MAX_GROWTH_MIB : growth > MAX_GROWTH;
  console.log(`${asked.sent} queries from new ports, ${perSecond} a second: ${asked.answered} answered`);
  console.log(
    `memory over the last third: ${early.toFixed(1)} MiB, then ${last.toFixed(1)} (${(growth * 100).toFixed(1)} %)` +
      (isGrowing ? '' : ': flat'),
  );
  return [
    ...(asked.answered < asked.sent ? [`${asked.sent - asked.answered} queries were lost`] : []),
    ...(isGrowing ? ['memory grew over the last third'] : []),
  ];
}

function ask(port, { asked, open }) {
  asked.sent++;
  const socket = createSocket('udp4');
  open.set(socket, performance.now());
  socket.on('error', () => {});
  socket.on('message', () => {
    asked.answered++;
    open.delete(socket);
    socket.close();
  });
  socket.send('query', port, '127.0.0.1');
}

/** Whoever has waited for so long gives up. */
function closeOld(open) {
  const beforeMs = performance.now() - ANSWER_MS;
  for (const [socket, sinceMs] of open) {
    if (sinceMs > beforeMs) return;
    open.delete(socket);
    socket.close();
  }
}

/** Likewise. */
async function sendWhileWaking(port) {
  const before = readMemory(proxy.pid);
  let most = before;
  const datagram = Buffer.alloc(WAKING.bytes);
  for (let client = 0; client < WAKING.clients; client++) {
    const socket = createSocket({ type: 'udp4', sendBufferSize: 4_194_304 });
    for (let count = 0; count < WAKING.datagrams; count++) socket.send(datagram, port, '127.0.0.1');
    await sleep(10);
    socket.close();
    most = Math.max(most, readMemory(proxy.pid));
  }
  const mebibytes = (WAKING.clients * WAKING.datagrams * WAKING.bytes) / 2 ** 20;
  console.log(
    `${WAKING.clients} clients sent ${mebibytes.toFixed(0)} MiB while the service woke: ` +
      `${(most - before).toFixed(1)} MiB more memory at most`,
  );
  return most - before > MAX_WAKING_MIB ? ['more was kept than udp_queue_total allows'] : [];
}

async function startProxy({ quick, quickTarget, never, neverTarget }) {
  const main = path.join(flags.dist ?? (await build()), 'main.js');
  const serve = (port, ...more) => [process.execPath, '-e', SERVER, String(port), ...more];
  const services = {
    quick: { command: serve(quickTarget), udp_ports: [`127.0.0.1:${quick}:${quickTarget}`] },
    never: {
      command: serve(neverTarget, 'never'),
      udp_ports: [`127.0.0.1:${never}:${neverTarget}`],
      start_timeout: '5m',
    },
  };
  const file = path.join(folder, 'lazy-proxy.yaml');
  await writeFile(file, JSON.stringify({ status: 'off', docker: { labels: false }, services }));
  const child = spawn(process.execPath, [main, 'run', '--config', file, '--log-level', 'error'], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const waker = createSocket('udp4');
  const answered = once(waker, 'message');
  const timer = setInterval(() => waker.send('wake', quick, '127.0.0.1'), 200);
  await answered;
  clearInterval(timer);
  waker.close();
  return child;
}

async function build() {
  await ensureInstalled();
  const { status, output } = await runCommand('npm', ['run', 'build'], { cwd: ROOT, quiet: true });
  if (status !== 0) throw new Error(`the build failed:\n${output}`);
  const { bin } = JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8'));
  return path.dirname(path.join(ROOT, bin['lazy-proxy']));
}

async function freePort() {
  const socket = createSocket('udp4');
  await once(socket.bind(0, '127.0.0.1'), 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
