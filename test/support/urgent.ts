import type { Socket } from 'node:net';
import { createDeclare, loadKoffi } from '../../src/relay/native/load-koffi.ts';
import { descriptorOf } from '../../src/relay/native/descriptor-of.ts';

const MSG_OOB = 1;

/** Makes a function that sends one byte as urgent data; what was written to the socket before must have gone out. */
export async function createSendUrgent(): Promise<(socket: Socket, byte: number) => void> {
  const load = await loadKoffi();
  if (load.kind === 'unavailable') throw new Error(load.reason);
  const send = createDeclare(load.koffi)(
    'intptr_t send(int fd, const void *bytes, size_t length, int flags)',
  );
  return (socket, byte) => {
    const status = send(descriptorOf(socket) ?? -1, new Uint8Array([byte]), 1, MSG_OOB);
    if (status !== 1) throw new Error(`the urgent byte was not sent: ${status}`);
  };
}
