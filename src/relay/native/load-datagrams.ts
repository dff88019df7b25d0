import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { messageOf } from '../../system/message-of.ts';
import { createFdOf } from './fd-of.ts';
import { createLibcDatagrams } from './libc-datagrams.ts';
import { loadKoffi } from './load-koffi.ts';
import { NativeDatagrams } from './native-datagrams.ts';
import { ADDRESS_WORDS, decodeAddress, encodeAddress } from './datagram-address.ts';

export type DatagramsLoad =
  | { readonly kind: 'loaded'; readonly datagrams: NativeDatagrams }
  | { readonly kind: 'unavailable'; readonly reason: string };

/** Prepares the calls that move many datagrams at once, and tries them, where this machine can have them. */
export async function loadDatagrams(load = loadKoffi): Promise<DatagramsLoad> {
  const loaded = await load();
  if (loaded.kind === 'unavailable') return loaded;
  try {
    const datagrams = new NativeDatagrams(createLibcDatagrams(loaded.koffi));
    await check(datagrams);
    return { kind: 'loaded', datagrams };
  } catch (error) {
    const reason = `many datagrams can't be moved at once (${messageOf(error)})`;
    return { kind: 'unavailable', reason };
  }
}

/** Sends a batch there and back between two sockets of this machine. @throws when not all of it comes back as it was. */
async function check(datagrams: NativeDatagrams): Promise<void> {
  const [one, two] = [createSocket('udp4'), createSocket('udp4')];
  try {
    for (const socket of [one, two]) await once(socket.bind(0, '127.0.0.1'), 'listening');
    const [sent, long] = ['12345', 'x'.repeat(1_500)];
    // From here to the end nothing waits, so that node:dgram reads none of it.
    datagrams.receive(fdOf(one), Buffer.from(sent));
    for (const text of [sent, long]) passOn(datagrams, { text, from: one, to: two });
    const { count } = datagrams.receive(fdOf(two), Buffer.alloc(0));
    const texts = Array.from({ length: count }, (_, slot) => datagrams.copy(slot).toString());
    if (texts.join() !== ['', sent, long].join()) throw new Error('other datagrams came than were sent');
    const sender = decodeAddress(datagrams.senders.subarray(2 * ADDRESS_WORDS, 3 * ADDRESS_WORDS));
    if (sender.port !== one.address().port)
      throw new Error('the sender has another address than it is said to have');
  } finally {
    one.close();
    two.close();
  }
}

interface Passage {
  readonly text: string;
  readonly from: Socket;
  readonly to: Socket;
}

function passOn(datagrams: NativeDatagrams, { text, from, to }: Passage): void {
  datagrams.receive(fdOf(from), Buffer.from(text));
  const run = datagrams.createRunOf(1);
  const result = run.send(fdOf(from), { from: 0, to: encodeAddress(to.address()) });
  if (result !== 1) throw new Error(`sending ended with ${result}`);
}

function fdOf(socket: Socket): number {
  const fd = createFdOf(socket)();
  if (fd === undefined) throw new Error('Node hides the descriptors of its sockets');
  return fd;
}
