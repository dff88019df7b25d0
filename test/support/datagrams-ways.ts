import type { DatagramRun } from '../../src/relay/udp/datagram-run.ts';
import { loadDatagrams } from '../../src/relay/native/datagrams/load-datagrams.ts';
import type { NativeDatagrams } from '../../src/relay/native/datagrams/native-datagrams.ts';

const load = await loadDatagrams();

/** The ways in which datagrams are moved; the second one where the machine has it. */
export const datagramsWays: readonly { way: string; native: NativeDatagrams | undefined }[] = [
  { way: 'one by one', native: undefined },
  ...(load.kind === 'loaded' ? [{ way: 'many at once', native: load.datagrams }] : []),
];

/** What the tests of this machine move many at once with. */
export const nativeDatagrams = load.kind === 'loaded' ? load.datagrams : undefined;

export function copyRun(run: DatagramRun): readonly Buffer[] {
  return Array.from({ length: run.size }, (_, index) => run.copy(index));
}
