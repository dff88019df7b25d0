/**
 * A Podman of our own, rootful, behind its service: its state, socket and log in one folder, its containers on a bridge
 * of their own. The network counts as internal, so that Podman keeps its hands off the machine's firewall: its containers
 * reach each other and the host, and nothing else.
 */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pingEngine, removeContainersAndNetworks } from './engine-api.mjs';
import { systemEnv } from './engine-bridge.mjs';
import { endProcesses, kill, readStartTicks, removeFolder } from './engine-leftovers.mjs';
import { runCommand } from './run-command.mjs';

const PARENT = '/tmp';
const PREFIX = 'lppod-';
const READY_TIMEOUT_MS = 30_000;
/** Each has a bridge and a subnet of its own, out of 198.19.96.0/21. */
const MAX_PODMANS = 8;

/** Starts it and resolves once it answers. Needs root, podman with netavark, runc and busybox. */
export async function startPrivatePodman() {
  await sweepAbandonedPodmans();
  const { folder, index } = await claimFolder();
  const env = { ...systemEnv(), CONTAINERS_CONF: path.join(folder, 'containers.conf') };
  let service;
  try {
    await writeSettings(folder, index);
    service = await startService(folder, env);
    return {
      socketPath: socketPath(folder),
      host: `unix://${socketPath(folder)}`,
      async run(...args) {
        const { status, output } = await runCommand('podman', [...storageArgs(folder), ...args], {
          env,
          quiet: true,
        });
        return { status, output };
      },
      killService: () => endService(service),
      async startServiceAgain() {
        service = await startService(folder, env);
      },
      async stop() {
        if (existsSync(folder) && hasEnded(service))
          service = await startService(folder, env).catch(() => service);
        await destroyPodman(folder, service);
      },
    };
  } catch (error) {
    await destroyPodman(folder, service);
    throw error;
  }
}

/** Ends what is left of those whose owner is gone, for example killed. */
export async function sweepAbandonedPodmans() {
  const names = (await readdir(PARENT)).filter((name) => name.startsWith(PREFIX));
  for (const name of names) {
    const folder = path.join(PARENT, name);
    const text = await readFile(path.join(folder, 'owner.json'), 'utf8').catch(() => undefined);
    const { pid, startTicks } = text === undefined ? {} : JSON.parse(text);
    if (pid === undefined || (await readStartTicks(pid)) === startTicks) continue;
    await destroyPodman(folder);
  }
}

/** Making the folder is the claim: it fails where another one holds it. */
async function claimFolder() {
  for (let index = 0; index < MAX_PODMANS; index += 1) {
    const folder = path.join(PARENT, `${PREFIX}${index}`);
    const isOurs = await mkdir(folder).then(
      () => true,
      () => false,
    );
    if (isOurs) return { folder, index };
  }
  throw new Error(`cannot make a folder for a Podman: ${MAX_PODMANS} are there already`);
}

function bridgeOf(folder) {
  return path.basename(folder).replace('-', '');
}

async function writeSettings(folder, index) {
  const owner = { pid: process.pid, startTicks: await readStartTicks(process.pid) };
  await writeFile(path.join(folder, 'owner.json'), JSON.stringify(owner));
  await mkdir(path.join(folder, 'networks'));
  await writeFile(path.join(folder, 'networks/podman.json'), JSON.stringify(defaultNetwork(folder, index)));
  const text = [
    '[containers]',
    // The defaults may be more than the machine allows.
    'default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]',
    'log_driver = "k8s-file"',
    '[engine]',
    'cgroup_manager = "cgroupfs"',
    'events_logger = "file"',
    'runtime = "runc"',
    `tmp_dir = "${path.join(folder, 'tmp')}"`,
    '[network]',
    'network_backend = "netavark"',
    `network_config_dir = "${path.join(folder, 'networks')}"`,
  ];
  await writeFile(path.join(folder, 'containers.conf'), `${text.join('\n')}\n`);
}

function defaultNetwork(folder, index) {
  return {
    name: 'podman',
    // Podman's own id for its default network.
    id: '2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9',
    driver: 'bridge',
    network_interface: bridgeOf(folder),
    created: '2026-01-01T00:00:00Z',
    subnets: [{ subnet: `198.19.${96 + index}.0/24`, gateway: `198.19.${96 + index}.1` }],
    ipv6_enabled: false,
    internal: true,
    dns_enabled: false,
    ipam_options: { driver: 'host-local' },
  };
}

function storageArgs(folder) {
  return [
    '--root',
    path.join(folder, 'root'),
    '--runroot',
    path.join(folder, 'run'),
    '--storage-driver',
    'vfs',
  ];
}

async function startService(folder, env) {
  const log = openSync(path.join(folder, 'log'), 'a');
  const args = [...storageArgs(folder), 'system', 'service', '--time', '0', `unix://${socketPath(folder)}`];
  // In a session of its own: a Ctrl-C must not end it before its containers are removed.
  const service = spawn('podman', args, { stdio: ['ignore', log, log], detached: true, env });
  closeSync(log);
  let failure = 'did not answer in time';
  service.once('error', (error) => {
    failure = `cannot be run (${error.message})`;
  });
  const deadlineMs = performance.now() + READY_TIMEOUT_MS;
  while (performance.now() < deadlineMs && service.pid !== undefined && !hasEnded(service)) {
    if (await pingEngine(`unix://${socketPath(folder)}`)) return service;
    await sleep(50);
  }
  await endService(service);
  const lines = (await readFile(path.join(folder, 'log'), 'utf8')).trimEnd().split('\n');
  throw new Error(`podman ${failure}; the end of its log:\n${lines.slice(-25).join('\n')}`);
}

/** Safe to call twice. Podman removes the bridge with the last container. */
async function destroyPodman(folder, service) {
  const host = `unix://${socketPath(folder)}`;
  if (existsSync(socketPath(folder)) && (await pingEngine(host))) await removeContainersAndNetworks(host);
  if (service !== undefined) await endService(service);
  else await killByCommandLine(folder);
  await endProcesses(folder);
  await runCommand('busybox', ['ip', 'link', 'del', bridgeOf(folder)], { env: systemEnv(), quiet: true });
  // Last: it is what holds the claim.
  await removeFolder(folder);
}

async function killByCommandLine(folder) {
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const commandLine = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
    if (commandLine.includes(`${folder}/`) && Number(entry) !== process.pid) kill(Number(entry), 'SIGTERM');
  }
}

async function endService(service) {
  if (service.pid === undefined || hasEnded(service)) return;
  const ended = new Promise((resolve) => service.once('exit', resolve));
  service.kill('SIGTERM');
  const timer = setTimeout(() => service.kill('SIGKILL'), READY_TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
}

function hasEnded(child) {
  return child.exitCode !== null || child.signalCode !== null;
}

function socketPath(folder) {
  return path.join(folder, 'podman.sock');
}
