import { createSocket, type Socket } from 'node:dgram';
import { type Descriptors, shortageOf } from '../../system/descriptors.ts';
import type { OwnListeners, OwnUpstream } from '../../system/net/own-listeners.ts';
import { nameLookups } from '../../system/net/name-lookups.ts';
import type { DatagramRun } from './datagram-run.ts';
import { ECONNREFUSED, EINTR } from '../native/errno.ts';
import { createDescriptorOfUdp } from '../native/descriptor-of.ts';
import { BATCH_SIZE, type NativeDatagrams } from '../native/datagrams/native-datagrams.ts';
import type { NativeUdpSocket, Sending, SocketHandlers } from '../native/datagrams/native-udp-socket.ts';
import { type RunSender, sendRun } from './send-run.ts';

/** Room for bursts; the kernel's own limits apply. */
const BUFFER_BYTES = 1_048_576;
/** Batches that one flow takes before the others have their turn. */
const MAX_BATCHES = 4;

/**
 * One connected UDP socket to a workload, so that the kernel tells when the port refuses (ICMP) and lets nobody else's
 * datagrams in. `close()` frees it, and is idempotent; what is sent afterwards is not.
 */
export interface UdpUpstream {
  /** Its descriptor; undefined where Node hides it. */
  readonly fd: number | undefined;
  send(datagram: Buffer): void;
  /** Sends many, as `send` does. */
  sendRun(run: DatagramRun): void;
  /** Takes what has come and was not told of yet, where that can be had: after a pause of the program it may be much. */
  look(): void;
  close(): void;
}

/**
 * @throws the socket's error, such as EMFILE or ENETUNREACH, or the resolver's where the host is a name; or that it leads back
 * to the proxy itself.
 */
export async function connectUdp(
  { host, port }: { readonly host: string; readonly port: number },
  { handlers, datagrams, descriptors, own }: UpstreamOptions,
): Promise<UdpUpstream> {
  const place = { ...(await resolveHost(host)), port };
  const reason = own?.explain('udp', { host: place.address, port });
  if (reason !== undefined) throw new Error(reason);
  try {
    const upstream =
      datagrams === undefined
        ? await SingleUpstream.connect(place, { handlers, own })
        : new BatchUpstream(place, { handlers, datagrams, own });
    handlers.onOpened?.();
    if (descriptors?.hasRoomFor(upstream.fd) !== false) return upstream;
    upstream.close();
    throw new NoDescriptor();
  } catch (error) {
    const shortage = shortageOf(error);
    if (shortage !== undefined) descriptors?.tell('a UDP flow has no socket', shortage);
    throw error;
  }
}

/** Moves many datagrams at once. What its socket tells it takes itself: each flow has one, and closures cost. */
class BatchUpstream implements UdpUpstream, SocketHandlers, RunSender, OwnUpstream {
  readonly target: OwnUpstream['target'];
  readonly #socket: NativeUdpSocket;
  readonly #leave: (() => void) | undefined;
  readonly #handlers: UpstreamHandlers;
  readonly #datagrams: NativeDatagrams;

  /** @throws the socket's error. */
  constructor(
    place: { readonly address: string; readonly port: number },
    {
      handlers,
      datagrams,
      own,
    }: Pick<UpstreamOptions, 'handlers' | 'own'> & { readonly datagrams: NativeDatagrams },
  ) {
    this.target = { host: place.address, port: place.port };
    this.#handlers = handlers;
    this.#datagrams = datagrams;
    this.#socket = datagrams.connect(place, this);
    this.#leave = own?.noteUpstream(this.#socket.port, this);
  }

  get local(): OwnUpstream['local'] {
    if (this.#socket.isClosed) return undefined;
    const { address: host, port } = this.#socket.local;
    return { host, port };
  }

  get fd(): number {
    return this.#socket.fd;
  }

  send(datagram: Buffer): void {
    this.#socket.send({ datagram });
  }

  sendRun(run: DatagramRun): void {
    sendRun(run, this);
  }

  look(): void {
    this.onReadable();
  }

  close(): void {
    this.#leave?.();
    this.#socket.close();
  }

  fdOf(): number | undefined {
    return this.#socket.sendFd;
  }

  isWritable(fd: number): boolean {
    return this.#datagrams.isWritable(fd);
  }

  sendOne(datagram: Buffer): void {
    // Closed meanwhile, because of a refusal.
    if (this.#socket.isClosed) return this.#handlers.onUnsent(datagram);
    this.send(datagram);
  }

  onRefused(): void {
    this.#handlers.onRefused();
  }

  onUnsent(datagram: Buffer): void {
    this.#handlers.onUnsent(datagram);
  }

  onUnsendable(): void {
    this.#handlers.onUnsendable();
  }

  onReadable(): void {
    for (let batch = 0; batch < MAX_BATCHES && !this.#socket.isClosed; batch++) {
      const { count, error } = this.#datagrams.receive(this.#socket.fd);
      if (count > 0) this.#handlers.onReplies(this.#datagrams.createRunOf(count));
      // An ICMP refusal of something sent earlier.
      if (error !== 0 && error !== EINTR) this.#handlers.onRefused();
      if (error === 0 && count < BATCH_SIZE) return;
    }
  }

  onSendFailed({ datagram }: Sending, errno: number): void {
    if (errno !== ECONNREFUSED) return this.#handlers.onUnsendable();
    // The refusal of something earlier: reporting it has cleared it, and this datagram was not sent.
    this.#handlers.onRefused();
    this.#handlers.onUnsent(datagram);
  }
}

/** Moves each datagram alone, by node:dgram. */
class SingleUpstream implements UdpUpstream, OwnUpstream {
  readonly target: OwnUpstream['target'];
  readonly #socket: Socket;
  readonly #handlers: UpstreamHandlers;
  #leave: (() => void) | undefined;
  #closed = false;

  private constructor(
    socket: Socket,
    { target, handlers }: { readonly target: OwnUpstream['target']; readonly handlers: UpstreamHandlers },
  ) {
    this.target = target;
    this.#socket = socket;
    this.#handlers = handlers;
  }

  static async connect(
    { address, family, port }: { readonly address: string; readonly family: number; readonly port: number },
    { handlers, own }: Pick<UpstreamOptions, 'handlers' | 'own'>,
  ): Promise<SingleUpstream> {
    const socket = createSocket({
      type: family === 6 ? 'udp6' : 'udp4',
      recvBufferSize: BUFFER_BYTES,
      sendBufferSize: BUFFER_BYTES,
      lookup: (host, _options, callback) => callback(null, host, family),
    });
    const upstream = new SingleUpstream(socket, { target: { host: address, port }, handlers });
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      // A failure is told to the callback, where there is one; what fails before is an event.
      socket.connect(port, address, (error?: Error) => {
        socket.off('error', reject);
        if (error === undefined) resolve();
        else reject(error);
      });
    }).catch((error) => {
      upstream.close();
      throw error;
    });
    upstream.#leave = own?.noteUpstream(socket.address().port, upstream);
    socket.on('message', (datagram) => handlers.onReply(datagram));
    // An ICMP refusal of something sent earlier.
    socket.on('error', () => handlers.onRefused());
    return upstream;
  }

  get local(): OwnUpstream['local'] {
    if (this.#closed) return undefined;
    const { address: host, port } = this.#socket.address();
    return { host, port };
  }

  get fd(): number | undefined {
    return createDescriptorOfUdp(this.#socket)();
  }

  send(datagram: Buffer): void {
    if (this.#closed) return;
    // The kernel's buffer is full, and so is what Node keeps for it.
    if (this.#socket.getSendQueueSize() > BUFFER_BYTES) return this.#handlers.onUnsendable();
    this.#socket.send(datagram, (error) => {
      if (error === null) return;
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ECONNREFUSED') return this.#handlers.onUnsendable();
      // The refusal of something earlier: reporting it has cleared it, and this datagram was not sent.
      if (!this.#closed) this.#handlers.onRefused();
      this.#handlers.onUnsent(datagram);
    });
  }

  sendRun(run: DatagramRun): void {
    for (let index = 0; index < run.size; index++) this.send(run.copy(index));
  }

  look(): void {}

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#leave?.();
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
  const [first] = await nameLookups.find(host);
  if (first === undefined) throw new Error(`no address is known for the name "${host}"`);
  return first;
}

export interface UpstreamOptions {
  readonly handlers: UpstreamHandlers;
  /** Moves many datagrams at once where it is there; else node:dgram moves each alone. */
  readonly datagrams?: NativeDatagrams | undefined;
  /** Bounds the sockets; absent = as many as are wanted. */
  readonly descriptors?: Descriptors | undefined;
  /** The proxy's own listeners, to which nothing is sent; told of the socket, so that what it sends is known when it comes back. */
  readonly own?: OwnListeners | undefined;
}

export interface UpstreamHandlers {
  /** The socket is there. */
  onOpened?(): void;
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
