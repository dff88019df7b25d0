/** Servers that play pods: whatever listens on a pod's address is the pod. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import http from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

export interface PodSpec {
  /** `http` answers each request, `tcp` each chunk, and `udp` each datagram; see `PodServer`. */
  readonly kind: 'http' | 'tcp' | 'udp';
  /** A pod's address; `0.0.0.0` plays every pod. */
  readonly address: string;
  /** 0 = any that is free. */
  readonly port: number;
  /** What it answers with; default: the address that it was reached at. */
  readonly name?: string;
}

/** `http` answers with its name, `tcp` and `udp` with `<name> <what was sent>`. Whoever starts it closes it. */
export interface PodServer {
  readonly port: number;
  /** Connections and datagrams so far. */
  readonly served: () => number;
  /** Cuts what is open. Idempotent. */
  close(): Promise<void>;
}

/** Begins to play a pod; resolves when it can be reached. */
export async function playPod(spec: PodSpec): Promise<PodServer> {
  if (spec.kind === 'udp') return playUdp(spec);
  const server =
    spec.kind === 'http' ? http.createServer(answerRequest(spec.name)) : createServer(echo(spec.name));
  const sockets = new Set<Socket>();
  let served = 0;
  server.on('connection', (socket: Socket) => {
    served += 1;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(spec.port, spec.address);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    served: () => served,
    close: () => closeServer(server, sockets),
  };
}

function answerRequest(name: string | undefined): http.RequestListener {
  return (request, response) => response.end(name ?? request.socket.localAddress);
}

function echo(name: string | undefined): (socket: Socket) => void {
  return (socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) => socket.write(`${name ?? socket.localAddress} ${chunk}`));
  };
}

async function playUdp({ address, port, name = address }: PodSpec): Promise<PodServer> {
  const socket = createSocket('udp4');
  let served = 0;
  let open = true;
  socket.on('message', (datagram, peer) => {
    served += 1;
    socket.send(`${name} ${datagram}`, peer.port, peer.address);
  });
  socket.bind({ address, port });
  await once(socket, 'listening');
  return {
    port: socket.address().port,
    served: () => served,
    async close() {
      if (open) socket.close();
      open = false;
    },
  };
}

async function closeServer(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  for (const socket of sockets) socket.destroy();
  await closed;
}
