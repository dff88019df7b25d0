import { createSocket, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { type Descriptors, shortageOf } from '../system/descriptors.ts';
import type { DatagramRun } from './datagram-run.ts';
import { createFdOf, createSendFdOf } from './native/fd-of.ts';
import type { NativeDatagrams } from './native/native-datagrams.ts';
import { sendRun } from './send-run.ts';

/** Room for bursts; the kernel's own limits apply. */
const BUFFER_BYTES = 1_048_576;

/**
 * One connected UDP socket to a workload, so that the kernel tells when the port refuses (ICMP) and lets nobody else's
 * datagrams in. `close()` frees it.
 */
export class UdpUpstream {
  readonly #socket: Socket;
  readonly #fdOf: () => number | undefined;
  readonly #sendFdOf: () => number | undefined;
  readonly #handlers: UpstreamHandlers;
  readonly #datagrams: NativeDatagrams | undefined;
  #closed = false;

  private constructor(socket: Socket, { handlers, datagrams }: UpstreamOptions) {
    this.#socket = socket;
    this.#fdOf = createFdOf(socket);
    this.#sendFdOf = createSendFdOf(socket);
    this.#handlers = handlers;
    this.#datagrams = datagrams;
  }

  /** @throws the socket's error, such as EMFILE or ENETUNREACH, or the resolver's where the host is a name. */
  static async connect(
    target: { readonly host: string; readonly port: number },
    options: UpstreamOptions,
  ): Promise<UdpUpstream> {
    const { address, family } = await resolveHost(target.host);
    const socket = createSocket({
      type: family === 6 ? 'udp6' : 'udp4',
      recvBufferSize: BUFFER_BYTES,
      sendBufferSize: BUFFER_BYTES,
      lookup: (host, _options, callback) => callback(null, host, family),
    });
    const upstream = new UdpUpstream(socket, options);
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      // A failure is told to the callback, where there is one; what fails before is an event.
      socket.connect(target.port, address, (error?: Error) => {
        socket.off('error', reject);
        if (error === undefined) resolve();
        else reject(error);
      });
      if (options.descriptors?.hasRoomFor(upstream.#fdOf()) === false) reject(new NoDescriptor());
    }).catch((error) => {
      upstream.close();
      const shortage = shortageOf(error);
      if (shortage !== undefined) options.descriptors?.tell('a UDP flow has no socket', shortage);
      throw error;
    });
    socket.on('message', (datagram) => upstream.#receive(datagram));
    // An ICMP refusal of something sent earlier.
    socket.on('error', () => options.handlers.onRefused());
    return upstream;
  }

  /** Passes on a reply, and with it what has come after it. */
  #receive(first: Buffer): void {
    const fd = this.#fdOf();
    if (this.#datagrams === undefined || fd === undefined) return this.#handlers.onReply(first);
    const { count, error } = this.#datagrams.receiveAfter(first, fd);
    this.#handlers.onReplies(this.#datagrams.createRunOf(count));
    if (error !== 0) this.#handlers.onRefused();
  }

  send(datagram: Buffer): void {
    if (this.#closed) return;
    this.#socket.send(datagram, (error) => {
      if (error === null) return;
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ECONNREFUSED') return this.#handlers.onUnsendable();
      // The refusal of something earlier: reporting it has cleared it, and this datagram was not sent.
      if (!this.#closed) this.#handlers.onRefused();
      this.#handlers.onUnsent(datagram);
    });
  }

  /** Sends many, as `send` does. */
  sendRun(run: DatagramRun): void {
    sendRun(run, {
      fdOf: this.#sendFdOf,
      isWritable: (fd) => this.#datagrams?.isWritable(fd) ?? false,
      onRefused: () => this.#handlers.onRefused(),
      onUnsent: (datagram) => this.#handlers.onUnsent(datagram),
      onUnsendable: () => this.#handlers.onUnsendable(),
      // Closed meanwhile, because of a refusal.
      sendOne: (datagram) => (this.#closed ? this.#handlers.onUnsent(datagram) : this.send(datagram)),
    });
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }
}

/** The socket could be made, but would take from what the proxy needs itself. */
class NoDescriptor extends Error {
  readonly code = 'EMFILE';

  constructor() {
    super('too few file descriptors are left');
  }
}

/** A name is looked up anew for each flow: what stands behind it may move. */
async function resolveHost(host: string): Promise<{ readonly address: string; readonly family: number }> {
  const family = isIP(host);
  return family === 0 ? lookup(host) : { address: host, family };
}

export interface UpstreamOptions {
  readonly handlers: UpstreamHandlers;
  /** Moves many datagrams at once where it is there; else node:dgram moves each alone. */
  readonly datagrams?: NativeDatagrams | undefined;
  /** Bounds the sockets; absent = as many as are wanted. */
  readonly descriptors?: Descriptors | undefined;
}

export interface UpstreamHandlers {
  onReply(datagram: Buffer): void;
  /** The same for many that came together. */
  onReplies(run: DatagramRun): void;
  /** The port refused something that was sent. */
  onRefused(): void;
  /** A datagram was not sent, because an earlier one's refusal was reported in its place; also told when closed. */
  onUnsent(datagram: Buffer): void;
  /** A datagram can't be sent: it is too long for the upstream's protocol, or there is no way there. */
  onUnsendable(): void;
}
