/** A bridge and address ranges of its own for each private engine, out of 198.18.0.0/15 (RFC 2544: for tests). */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const MAX_ENGINES = 16;

/** @returns {Promise<{ bridge: string, pool: string }>} an interface that is up, and a pool for further networks. */
export async function claimBridge() {
  let cause;
  for (let index = 0; index < MAX_ENGINES; index += 1) {
    const bridge = `lpt${index}`;
    try {
      // Creating it is the claim: it fails where another engine holds the name.
      await ip('link', 'add', 'name', bridge, 'type', 'bridge');
    } catch (error) {
      cause = error;
      continue;
    }
    await ip('addr', 'add', `198.19.${index}.1/24`, 'dev', bridge);
    await ip('link', 'set', bridge, 'up');
    return { bridge, pool: `base=198.18.${index * 16}.0/20,size=26` };
  }
  throw new Error('cannot create a network bridge for a private engine', { cause });
}

export async function releaseBridge(bridge) {
  // Gone already is as good.
  await ip('link', 'del', bridge).catch(() => undefined);
}

/** busybox, because it is there wherever the private engine is; iproute2 may not be. */
function ip(...args) {
  return execute('busybox', ['ip', ...args]);
}
