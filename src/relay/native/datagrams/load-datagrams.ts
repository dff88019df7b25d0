import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEvents } from '../../../system/clock.ts';
import { messageOf } from '../../../system/message-of.ts';
import { decodeAddress, decodePeer, encodeAddress, PEER_WORDS } from './datagram-address.ts';
import { createLibcDatagrams } from './libc-datagrams.ts';
import { loadKoffi } from '../load-koffi.ts';
import { createLoopPoll } from '../loop-poll.ts';
import { NativeDatagrams } from './native-datagrams.ts';
import type { NativeUdpSocket } from './native-udp-socket.ts';

export type DatagramsLoad =
  | { readonly kind: 'loaded'; readonly datagrams: NativeDatagrams }
  | { readonly kind: 'unavailable'; readonly reason: string };

/** Prepares the calls that move many datagrams at once, and tries them out; or says why this machine can't have them. */
export async function loadDatagrams(load = loadKoffi): Promise<DatagramsLoad> {
  const loaded = await load();
  if (loaded.kind === 'unavailable') return loaded;
  try {
    const datagrams = new NativeDatagrams(createLibcDatagrams(loaded.koffi), createLoopPoll(loaded.koffi));
    let told = false;
    const one = openSocket(datagrams, () => {
      told = true;
    });
    const two = openSocket(datagrams, () => {});
    try {
      checkBatches(datagrams, [one, two]);
      await checkWatch(datagrams, { socket: one, isTold: () => told });
    } finally {
      one.close();
      two.close();
    }
    return { kind: 'loaded', datagrams };
  } catch (error) {
    const reason = `many datagrams can't be moved at once (${messageOf(error)})`;
    return { kind: 'unavailable', reason };
  }
}

/** Opens it for all addresses: only there the kernel tells which one a datagram was sent to. */
function openSocket(datagrams: NativeDatagrams, onReadable: () => void): NativeUdpSocket {
  return datagrams.listen({ address: '0.0.0.0', port: 0 }, { onReadable, onSendFailed() {} });
}

/** Sends a batch there and back between two sockets of this machine. @throws when not all of it comes as it should. */
function checkBatches(
  datagrams: NativeDatagrams,
  [one, two]: readonly [NativeUdpSocket, NativeUdpSocket],
): void {
  const [sent, long] = ['12345', 'x'.repeat(1_500)];
  for (const text of [sent, long])
    sendTo(datagrams, { text, from: one.fd, to: peerAt('127.0.0.2', two.port) });
  const { count } = datagrams.receive(two.fd);
  const texts = Array.from({ length: count }, (_, slot) => datagrams.copy(slot).toString());
  if (texts.join() !== [sent, long].join()) throw new Error('other datagrams came than were sent');
  const asker = datagrams.peers.slice(PEER_WORDS, 2 * PEER_WORDS);
  if (decodeAddress(asker).port !== one.port)
    throw new Error('the sender has another address than it is said to have');
  sendTo(datagrams, { text: sent, from: two.fd, to: asker });
  const { address } = datagrams.receive(one.fd).count === 1 ? decodePeer(datagrams.peers) : { address: '' };
  if (address !== '127.0.0.2') throw new Error('an answer came from another address than was asked');
}

/** @throws when the event loop doesn't tell that a socket can be read. */
async function checkWatch(
  datagrams: NativeDatagrams,
  { socket, isTold }: { readonly socket: NativeUdpSocket; readonly isTold: () => boolean },
): Promise<void> {
  const other = createSocket('udp4');
  try {
    await once(other.bind(0, '127.0.0.1'), 'listening');
    const arrived = once(other, 'message');
    sendTo(datagrams, { text: 'x', from: socket.fd, to: peerAt('127.0.0.1', socket.port) });
    sendTo(datagrams, { text: 'x', from: socket.fd, to: peerAt('127.0.0.1', other.address().port) });
    await arrived;
    // The loop tells of both in one turn, in whatever order.
    await new Promise<void>(afterEvents);
    await new Promise<void>(afterEvents);
    if (!isTold()) throw new Error('the event loop does not tell of datagrams');
  } finally {
    other.close();
  }
}

function peerAt(address: string, port: number): Uint32Array {
  const words = new Uint32Array(PEER_WORDS);
  words.set(encodeAddress({ address, port }) ?? []);
  return words;
}

function sendTo(
  datagrams: NativeDatagrams,
  { text, from, to }: { readonly text: string; readonly from: number; readonly to: Uint32Array },
): void {
  const result = datagrams.sendAlone(from, { datagram: Buffer.from(text), to });
  if (result !== 1) throw new Error(`sending ended with ${result}`);
}
