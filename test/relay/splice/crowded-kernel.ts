import { EAGAIN, EINTR } from '../../../src/relay/native/errno.ts';
import type { PipeKernel } from '../../../src/relay/splice/thread/pipe-pool.ts';
import type { PumpKernel } from '../../../src/relay/splice/thread/pump.ts';
import type { Answer } from './scripted-kernel.ts';

/** One end of a connection: what can be read of it, and what was sent to it. */
export interface CrowdedSocket {
  readonly tag: number;
  unread: number;
  readonly received: Uint8Array[];
}

/** The bytes of a pipe, which both its ends lead to. */
interface CrowdedPipe {
  bytes: Uint8Array;
}

/**
 * Many sockets and pipes. As with Linux, a new one gets the lowest number that is free, so numbers come back soon. Whoever
 * reads of a socket gets the socket's tag, as often as asked. Answers by its script, and after that moves all it can.
 * Throws where a number is used that is not open.
 */
export class CrowdedKernel implements PumpKernel, PipeKernel {
  answers: Answer[] = [];
  /** Of every socket. */
  unacknowledgedBytes = 0;
  readonly #open = new Map<number, CrowdedSocket | CrowdedPipe>();

  get openCount(): number {
    return this.#open.size;
  }

  openSocket(socket: CrowdedSocket): number {
    return this.#add(socket);
  }

  recv(fd: number, into: Uint8Array): number {
    const socket = this.#socket(fd);
    return this.#answer(Math.min(into.length, socket.unread), (count) => {
      socket.unread -= count;
      into.fill(socket.tag, 0, count);
    });
  }

  send(fd: number, bytes: Uint8Array, length: number): number {
    const { received } = this.#socket(fd);
    return this.#answer(length, (count) => received.push(bytes.slice(0, count)));
  }

  splice(from: number, to: number, length: number): number {
    const [source, target] = [this.#find(from), this.#find(to)];
    if ('bytes' in target) {
      const socket = this.#socket(from);
      return this.#answer(Math.min(length, socket.unread), (count) => {
        socket.unread -= count;
        target.bytes = Uint8Array.from([...target.bytes, ...new Uint8Array(count).fill(socket.tag)]);
      });
    }
    if (!('bytes' in source)) throw new Error(`splice from ${from} to ${to}: neither is a pipe`);
    return this.#answer(Math.min(length, source.bytes.length), (count) => {
      target.received.push(source.bytes.slice(0, count));
      source.bytes = source.bytes.slice(count);
    });
  }

  shutdownWrite(fd: number): number {
    this.#socket(fd);
    return this.#answer(0, () => {});
  }

  unacknowledged(): number {
    return this.unacknowledgedBytes;
  }

  takeError(): number {
    return 0;
  }

  pipe(ends: Int32Array): number {
    const pipe = { bytes: new Uint8Array(0) };
    ends.set([this.#add(pipe), this.#add(pipe)]);
    return 0;
  }

  setPipeSize(_fd: number, bytes: number): number {
    return bytes;
  }

  close(fd: number): number {
    this.#find(fd);
    this.#open.delete(fd);
    return 0;
  }

  #add(file: CrowdedSocket | CrowdedPipe): number {
    let fd = 3;
    while (this.#open.has(fd)) fd++;
    this.#open.set(fd, file);
    return fd;
  }

  #find(fd: number): CrowdedSocket | CrowdedPipe {
    const file = this.#open.get(fd);
    if (file === undefined) throw new Error(`descriptor ${fd} is not open`);
    return file;
  }

  #socket(fd: number): CrowdedSocket {
    const file = this.#find(fd);
    if ('bytes' in file) throw new Error(`descriptor ${fd} is a pipe's`);
    return file;
  }

  #answer(most: number, move: (count: number) => void): number {
    const answer = this.answers.shift() ?? most;
    if (answer === 'EAGAIN') return -EAGAIN;
    if (answer === 'EINTR') return -EINTR;
    if (answer < 0) return answer;
    const count = Math.min(answer, most);
    move(count);
    return count;
  }
}
