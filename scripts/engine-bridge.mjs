/** A bridge and address ranges of its own for each private engine, out of 198.18.0.0/15 (RFC 2544: for tests). */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execute = promisify(execFile);
/** Their pools end below 198.18.128.0; the upper half belongs to the pods of Kubernetes tests. */
const MAX_ENGINES = 8;
const PREFIX = 'lpt';
/** The third part of an address counts so many in each engine's pool. */
const POOL_SIZE = 16;
/** Docker's own name for it. */
const GATEWAY_BRIDGE = 'docker_gwbridge';

/**
 * @returns {Promise<{ bridge: string, pool: string, gatewaySubnet: string }>} an interface that is up, a pool for further
 * networks, and a subnet out of it for the bridge of a swarm.
 */
export async function claimBridge() {
  let cause;
  for (let index = 0; index < MAX_ENGINES; index += 1) {
    try {
      // Creating it is the claim: it fails where another engine holds the name.
      await ip('link', 'add', 'name', bridgeName(index), 'type', 'bridge');
    } catch (error) {
      cause = error;
      continue;
    }
    // Without an address of its own a bridge has one of its ports', another one whenever a container comes or goes: whatever a
    // container that runs sends to the old one is lost, for up to half a minute.
    await ip('link', 'set', 'dev', bridgeName(index), 'address', `02:00:c6:13:${hex(index)}:01`);
    await ip('addr', 'add', `198.19.${index}.1/24`, 'dev', bridgeName(index));
    await ip('link', 'set', bridgeName(index), 'up');
    await changeForwarding('--insert', index);
    return {
      bridge: bridgeName(index),
      pool: `base=${poolRange(index)},size=26`,
      gatewaySubnet: `198.18.${index * POOL_SIZE}.0/26`,
    };
  }
  throw new Error('cannot create a network bridge for a private engine', { cause });
}

/** Safe to call twice. */
export async function releaseBridge(bridge) {
  // Gone already is as good.
  await ip('link', 'del', bridge).catch(() => undefined);
  await removeGatewayBridge(Number(bridge.slice(PREFIX.length)));
  await changeForwarding('--delete', Number(bridge.slice(PREFIX.length)));
}

/** An engine that was in a swarm leaves it behind: one on the machine, with an address out of the engine's own pool. */
async function removeGatewayBridge(index) {
  const { stdout } = await ip('addr', 'show', 'dev', GATEWAY_BRIDGE).catch(() => ({ stdout: '' }));
  const [, third] = /\binet 198\.18\.(\d+)\./.exec(stdout) ?? [];
  if (third === undefined || Math.floor(Number(third) / POOL_SIZE) !== index) return;
  await ip('link', 'del', GATEWAY_BRIDGE).catch(() => undefined);
}

/**
 * Lets containers on one network reach each other. Needed where another engine has closed FORWARD for all it doesn't
 * know: the kernel sends bridged packets through it, too. Where iptables is missing there is nothing in the way.
 */
async function changeForwarding(action, index) {
  for (const range of [`198.19.${index}.0/24`, poolRange(index)]) {
    const rule = ['FORWARD', '-s', range, '-m', 'physdev', '--physdev-is-bridged', '-j', 'ACCEPT'];
    await run('iptables', ['--wait', action, ...rule]).catch(() => undefined);
  }
}

function bridgeName(index) {
  return `${PREFIX}${index}`;
}

function hex(byte) {
  return byte.toString(16).padStart(2, '0');
}

function poolRange(index) {
  return `198.18.${index * POOL_SIZE}.0/20`;
}

/** busybox, because it is there wherever the private engine is; iproute2 may not be. */
function ip(...args) {
  return run('busybox', ['ip', ...args]);
}

function run(program, args) {
  return execute(program, args, { env: systemEnv() });
}

/** Root's PATH outside a login shell often lacks the folders where dockerd, iptables and the like are. */
export function systemEnv() {
  return { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin` };
}
