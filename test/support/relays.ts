import type { Admission } from '../../src/relay/access/admission.ts';
import { HeldClients } from '../../src/relay/native/held-clients.ts';
import { createLibc } from '../../src/relay/native/libc.ts';
import { loadKoffi } from '../../src/relay/native/load-koffi.ts';
import { createLoopPoll, type LoopPoll } from '../../src/relay/native/loop-poll.ts';
import { SpliceRelay } from '../../src/relay/splice/main/splice-relay.ts';
import { createStreamRelay, type NativeParts } from '../../src/relay/tcp/stream-relay.ts';
import type { RelayKind, TcpRelay } from '../../src/relay/tcp/tcp-relay.ts';
import { type Clock, systemClock } from '../../src/system/clock.ts';
import { type Logger, silentLogger } from '../../src/system/log/logger.ts';
import { THREAD_FILE } from './relay-thread-file.ts';

// Each relay's thread listens for the end of the process, and many tests of a worker run at a time.
process.setMaxListeners(50);

/** One for all: it stays until the end of the process. */
let poll: LoopPoll | undefined;

/** Those that this machine can have; Linux has both, and a test run there without koffi is a broken one. */
export const RELAY_KINDS: readonly RelayKind[] =
  process.platform === 'linux' ? ['stream', 'splice'] : ['stream'];

/** A relay of a kind; the caller closes it. */
export async function createRelay(kind: RelayKind, clock: Clock = systemClock): Promise<TcpRelay> {
  if (kind === 'splice') return createSpliceRelay({ clock });
  return createStreamRelay(process.platform === 'linux' ? await loadNative(clock) : undefined);
}

export async function createSpliceRelay({
  threadFile = THREAD_FILE,
  logger = silentLogger,
  clock = systemClock,
  admission,
}: {
  readonly threadFile?: URL;
  readonly logger?: Logger;
  /** Of the relay alone: neither its thread nor the relay by streams goes by it. */
  readonly clock?: Clock;
  readonly admission?: Admission;
} = {}): Promise<SpliceRelay> {
  const native = await loadNative();
  const { libc } = native;
  const fallback = createStreamRelay(native);
  return new SpliceRelay({ libc, threadFile, logger, admission, clock, fallback });
}

async function loadNative(clock: Clock = systemClock): Promise<NativeParts> {
  const load = await loadKoffi();
  if (load.kind === 'unavailable') throw new Error(load.reason);
  const libc = createLibc(load.koffi);
  poll ??= createLoopPoll(load.koffi);
  return { libc, clock, held: new HeldClients(libc, poll) };
}
