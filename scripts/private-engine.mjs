/**
 * A Docker engine of our own: its state, sockets and log in one folder, its networks on a bridge of its own. Its
 * containers reach those on the same network and the host, and nothing else: the engine itself keeps its hands off
 * the machine's firewall and forwarding, which it would leave changed.
 */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pingEngine, removeContainersAndNetworks } from './engine-api.mjs';
import { claimBridge, releaseBridge, systemEnv } from './engine-bridge.mjs';
import { endProcesses, kill, readStartTicks, removeFolder } from './engine-leftovers.mjs';

/** Short, since a unix socket's path may have 108 characters and containerd's lies four folders deeper. */
const PARENT = '/tmp';
const PREFIX = 'lpt-';
const READY_TIMEOUT_MS = 30_000;
const CONTAINERD_EXIT_MS = 2_000;
const KEY_FOLDER = '/etc/docker';
/** For the daemon and each program that it starts, itself among them twice for each start of a container: they end before they fill it. */
const RARE_COLLECTIONS = { GOGC: '400' };

/** Starts an engine and resolves once it answers. Needs root, dockerd and busybox. */
export async function startPrivateEngine({ liveRestore = false, swarm = false } = {}) {
  const folder = await mkdtemp(path.join(PARENT, PREFIX));
  const record = { folder, bridge: '', pid: process.pid, startTicks: await readStartTicks(process.pid) };
  let daemon;
  try {
    const { bridge, pool, gatewaySubnet } = await claimBridge();
    record.bridge = bridge;
    // Older engines write a key there, which stays behind unless the folder was there before.
    record.removeKeys = !existsSync(KEY_FOLDER);
    await writeFile(path.join(folder, 'owner.json'), JSON.stringify(record));
    await writeFile(path.join(folder, 'daemon.json'), '{}');
    // A daemon with a pool and without live restore, which no swarm allows, removes another engine's docker0 at a restart.
    const args = daemonArgs(record, { pool: swarm ? undefined : pool, liveRestore });
    daemon = await startDaemon(folder, args);
    return {
      socketPath: socketPath(folder),
      host: `unix://${socketPath(folder)}`,
      gatewaySubnet,
      async killDaemon(signal = 'SIGKILL') {
        await endDaemon(daemon, signal);
        await waitForContainerd(folder);
      },
      async startDaemonAgain() {
        daemon = await startDaemon(folder, args);
      },
      async stop() {
        // Containers that survived their daemon are removed through a new one.
        if (hasEnded(daemon) && existsSync(folder))
          daemon = await startDaemon(folder, args).catch(() => daemon);
        await destroyEngine(record, daemon);
      },
    };
  } catch (error) {
    await destroyEngine(record, daemon);
    throw error;
  }
}

/** Ends what engines left behind whose owner is gone, for example killed. */
export async function sweepAbandonedEngines() {
  const names = (await readdir(PARENT)).filter((name) => name.startsWith(PREFIX));
  for (const name of names) {
    const file = path.join(PARENT, name, 'owner.json');
    const record = await readFile(file, 'utf8').then(JSON.parse, () => undefined);
    if (record === undefined || (await readStartTicks(record.pid)) === record.startTicks) continue;
    await destroyEngine(record);
  }
}

function daemonArgs({ folder, bridge }, { pool, liveRestore }) {
  return [
    ...['--host', `unix://${socketPath(folder)}`, '--pidfile', path.join(folder, 'pid')],
    ...['--data-root', path.join(folder, 'data'), '--exec-root', path.join(folder, 'exec')],
    // Not the machine's own settings.
    ...['--config-file', path.join(folder, 'daemon.json')],
    ...['--bridge', bridge],
    ...(pool === undefined ? [] : ['--default-address-pool', pool]),
    ...['--iptables=false', '--ip6tables=false', '--ip-forward=false', '--ip-masq=false'],
    ...(liveRestore ? ['--live-restore'] : []),
  ];
}

async function startDaemon(folder, args) {
  const log = openSync(path.join(folder, 'log'), 'a');
  // In a session of its own: a Ctrl-C must not end it before its containers are removed.
  const env = { ...systemEnv(), ...RARE_COLLECTIONS };
  const daemon = spawn('dockerd', args, { stdio: ['ignore', log, log], detached: true, env });
  closeSync(log);
  let failure = 'did not answer in time';
  daemon.once('error', (error) => {
    failure = `cannot be run (${error.message})`;
  });
  const deadlineMs = performance.now() + READY_TIMEOUT_MS;
  while (performance.now() < deadlineMs && daemon.pid !== undefined && !hasEnded(daemon)) {
    if (await pingEngine(`unix://${socketPath(folder)}`)) return daemon;
    await sleep(50);
  }
  if (hasEnded(daemon)) failure = `ended with status ${daemon.exitCode ?? daemon.signalCode}`;
  await endDaemon(daemon, 'SIGKILL');
  const lines = (await readFile(path.join(folder, 'log'), 'utf8')).trimEnd().split('\n');
  throw new Error(`dockerd ${failure}; the end of its log:\n${lines.slice(-25).join('\n')}`);
}

/** Everything goes, in the order in which the next step needs the one before; safe to call twice. */
async function destroyEngine({ folder, bridge, removeKeys }, daemon) {
  const host = `unix://${socketPath(folder)}`;
  if (existsSync(socketPath(folder)) && (await pingEngine(host))) await removeContainersAndNetworks(host);
  if (daemon !== undefined) await endDaemon(daemon, 'SIGTERM');
  else await endDaemonByPidFile(folder);
  await endProcesses(folder);
  if (bridge !== '') await releaseBridge(bridge);
  await removeFolder(folder);
  if (removeKeys) {
    await rm(path.join(KEY_FOLDER, 'key.json'), { force: true });
    // Stays where somebody else has put something in.
    await rmdir(KEY_FOLDER).catch(() => undefined);
  }
}

async function endDaemon(daemon, signal) {
  if (daemon.pid === undefined || hasEnded(daemon)) return;
  const ended = new Promise((resolve) => daemon.once('exit', resolve));
  daemon.kill(signal);
  const timer = setTimeout(() => daemon.kill('SIGKILL'), READY_TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
}

/**
 * Most versions take containerd down with them, a moment later: a new daemon would still take it for alive, and also
 * as long as nobody has reaped it, unless its pid file is gone.
 */
async function waitForContainerd(folder) {
  const pidFile = path.join(folder, 'exec/containerd/containerd.pid');
  const pid = Number(await readFile(pidFile, 'utf8').catch(() => Number.NaN));
  const deadlineMs = performance.now() + CONTAINERD_EXIT_MS;
  for (;;) {
    if ((await readStartTicks(pid)) === undefined) return await rm(pidFile, { force: true });
    if (performance.now() > deadlineMs) return;
    await sleep(20);
  }
}

async function endDaemonByPidFile(folder) {
  const pid = Number(await readFile(path.join(folder, 'pid'), 'utf8').catch(() => Number.NaN));
  if (!(pid > 1)) return;
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  // The id may belong to somebody else by now.
  if (commandLine.includes(`${folder}/`)) kill(pid, 'SIGTERM');
}

function hasEnded(child) {
  return child.exitCode !== null || child.signalCode !== null;
}

function socketPath(folder) {
  return path.join(folder, 'docker.sock');
}
