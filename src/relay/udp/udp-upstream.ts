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
 * One UDP socket that is connected to a workload: so the kernel tells when the port refuses (ICMP), and lets in only datagrams
 * from there. `close()` frees it and is idempotent. Sending after it does nothing.
 */
export interface UdpUpstream {
  /** Its descriptor; undefined where Node hides it. */
  readonly fd: number | undefined;
  send(datagram: Buffer): void;
  /** Sends many, as `send` does. */
  sendRun(run: DatagramRun): void;
  /** Reads, where that is possible, what has arrived but was not announced yet. After a pause of the program it may be much. */
  look(): void;
  close(): void;
}

/**
 * Connects to a workload's port; whoever calls closes it.
 * @throws the socket's error, such as EMFILE or ENETUNREACH; the resolver's error, where the host is a name; an error where
 * the endpoint leads back to the proxy itself.
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

/** Moves many datagrams at once. It is the handler of its own socket: each flow has one, and closures cost memory. */
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
    // A refusal has closed it meanwhile.
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
    // The kernel reported the refusal of an earlier datagram, and did not send this one.
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
      // A failure to connect goes to the callback; one before that is an event.
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
    // Both the kernel's buffer and what Node keeps are full.
    if (this.#socket.getSendQueueSize() > BUFFER_BYTES) return this.#handlers.onUnsendable();
    this.#socket.send(datagram, (error) => {
      if (error === null) return;
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ECONNREFUSED') return this.#handlers.onUnsendable();
      // The kernel reported the refusal of an earlier datagram, and did not send this one.
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

/** There is a descriptor for the socket, but the proxy keeps it for itself. */
class NoDescriptor extends Error {
  readonly code = 'EMFILE';

  constructor() {
    super('too few file descriptors are left');
  }
}

/** Looks a name up for each flow: its address may change. */
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
  /** The proxy's own listeners: nothing is sent there. They are told of the socket, to recognise its datagrams if they come back. */
  readonly own?: OwnListeners | undefined;
}

export interface UpstreamHandlers {
  /** The socket is open. */
  onOpened?(): void;
  onReply(datagram: Buffer): void;
  /** Many replies that came together. */
  onReplies(run: DatagramRun): void;
  /** The port refused something that was sent. */
  onRefused(): void;
  /** A datagram was not sent: the kernel reported the refusal of an earlier one instead. Told after `close()`, too. */
  onUnsent(datagram: Buffer): void;
  /** A datagram can't be sent: it is too long for the upstream's protocol, or there is no way there. */
  onUnsendable(): void;
}
