import type { RelaySetting } from '../../model/settings.ts';
import type { Clock } from '../../system/clock.ts';
import type { Logger } from '../../system/log/logger.ts';
import { messageOf } from '../../system/message-of.ts';
import type { Admission } from '../access/admission.ts';
import { HeldClients } from '../native/held-clients.ts';
import { createLibc, type Libc } from '../native/libc.ts';
import { type Koffi, loadKoffi } from '../native/load-koffi.ts';
import { createLoopPoll } from '../native/loop-poll.ts';
import { findNativeFault } from '../native/datagrams/self-check.ts';
import { watchShortage } from '../native/watch-shortage.ts';
import { SpliceRelay } from '../splice/main/splice-relay.ts';
import { createStreamRelay } from './stream-relay.ts';
import type { TcpRelay } from './tcp-relay.ts';

interface RelayParts {
  /** The built `relay-thread`. */
  readonly threadFile: URL;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly admission?: Admission | undefined;
  /** Default: that of this process. */
  readonly platform?: NodeJS.Platform;
}

/**
 * The relay that a setting asks for; with `auto` the one by streams where the other can't be had, and a line in the log
 * that says why. @throws with `splice` where it can't be had.
 */
export async function createTcpRelay(setting: RelaySetting, parts: RelayParts): Promise<TcpRelay> {
  const loaded = await loadNative(parts.platform);
  if (typeof loaded !== 'string') {
    const libc = watchShortage(loaded.libc, (shortage) => {
      parts.admission?.descriptors.tell('a connection could not be given to the relay thread', shortage);
    });
    const streamRelay = createStreamRelay({
      libc,
      clock: parts.clock,
      held: createHeldClients(libc, loaded.koffi),
    });
    return setting === 'stream' ? streamRelay : new SpliceRelay({ ...parts, libc, fallback: streamRelay });
  }
  if (setting === 'splice') throw new Error(`relay: splice does not work here: ${loaded}`);
  if (setting === 'auto')
    parts.logger.info(
      { event: 'relay' },
      `TCP connections are relayed through Node's streams instead of splice(2), which takes more processor time: ${loaded}`,
    );
  return createStreamRelay();
}

/** The system calls, or why they can't be used. */
async function loadNative(
  platform?: NodeJS.Platform,
): Promise<{ readonly libc: Libc; readonly koffi: Koffi } | string> {
  const load = await loadKoffi(platform);
  if (load.kind === 'unavailable') return load.reason;
  try {
    const libc = createLibc(load.koffi);
    return findNativeFault(libc) ?? { libc, koffi: load.koffi };
  } catch (error) {
    return messageOf(error);
  }
}

/** Undefined where the event loop can't be had. */
function createHeldClients(libc: Libc, koffi: Koffi): HeldClients | undefined {
  try {
    return new HeldClients(libc, createLoopPoll(koffi));
  } catch {
    return undefined;
  }
}
