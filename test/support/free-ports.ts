import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below the range from which the kernel takes ports for outgoing connections, so that nobody takes one meanwhile. */
const FIRST_PORT = 20_000;
const LAST_PORT = 32_000;
/** Each process that runs tests has so many of them for itself, since several run side by side. */
const OWN_PORTS = 250;

/** The first port of this process; undefined where processes can't agree, as on other systems than Linux. */
const first = await claimOwn();
let taken = 0;

/** A port that was free a moment ago, on every address, for TCP. */
export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  if (port === undefined) throw new Error('no free port');
  return port;
}

/** `count` different ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  return await findPorts(count, canListen);
}

/** The same for UDP. */
export async function freeUdpPort(): Promise<number> {
  const [port] = await findPorts(1, canBind);
  if (port === undefined) throw new Error('no free port');
  return port;
}

async function findPorts(count: number, isFree: (port: number) => Promise<boolean>): Promise<number[]> {
  const found = new Set<number>();
  for (let tries = 0; found.size < count; tries++) {
    // Where all of its own are in use, a test may take others.
    const port = first === undefined || tries >= OWN_PORTS ? randomInt(FIRST_PORT, LAST_PORT) : nextOf(first);
    if (!found.has(port) && (await isFree(port))) found.add(port);
  }
  return [...found];
}

/** One after the other, so that the next one to ask does not get what was just told to be free. */
function nextOf(own: number): number {
  taken++;
  return own + (taken % OWN_PORTS);
}

/** Claims them by a socket without a file, which the kernel closes when this process ends. */
async function claimOwn(): Promise<number | undefined> {
  const slices = (LAST_PORT - FIRST_PORT) / OWN_PORTS;
  for (let tries = 0; tries < 4 * slices; tries++) {
    const slice = randomInt(slices);
    const claim = createServer().unref();
    try {
      await once(claim.listen(`\0lazy-proxy-test-ports-${slice}`), 'listening');
      return FIRST_PORT + slice * OWN_PORTS;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') return undefined;
    }
  }
  return undefined;
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, () => server.close(() => resolve(true)));
  });
}

function canBind(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp6');
    socket.once('error', () => socket.close(() => resolve(false)));
    socket.bind(port, () => socket.close(() => resolve(true)));
  });
}
