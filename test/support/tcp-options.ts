import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createDeclare, loadKoffi } from '../../src/relay/native/load-koffi.ts';

/** What the kernel has set on one socket; the times in seconds, `undefined` where nobody is asked. */
export interface TcpOptions {
  readonly noDelay: boolean;
  /** Whether urgent data stays at its place among the other bytes. */
  readonly urgentInline: boolean;
  readonly keepAlive:
    | { readonly idle: number; readonly interval: number; readonly probes: number }
    | undefined;
}

const SOL_SOCKET = 1;
const SO_KEEPALIVE = 9;
const SO_OOBINLINE = 10;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const TCP_KEEPIDLE = 4;
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;

/** Makes a function that reads the options of this process's own IPv4 sockets, by their two ports. */
export async function createOptionReader(): Promise<(ports: Ports) => readonly TcpOptions[]> {
  const load = await loadKoffi();
  if (load.kind === 'unavailable') throw new Error(load.reason);
  const getsockopt = createDeclare(load.koffi)(
    'int getsockopt(int fd, int level, int name, void *value, void *length)',
  );
  const read = (fd: number, level: number, name: number) => {
    const value = new Int32Array(1);
    const status = getsockopt(fd, level, name, value, new Int32Array([4]));
    if (status < 0) throw new Error(`getsockopt failed with errno ${-status}`);
    return value[0] ?? 0;
  };
  return (ports) =>
    findDescriptors(ports).map((fd) => ({
      noDelay: read(fd, IPPROTO_TCP, TCP_NODELAY) === 1,
      urgentInline: read(fd, SOL_SOCKET, SO_OOBINLINE) === 1,
      keepAlive:
        read(fd, SOL_SOCKET, SO_KEEPALIVE) === 0
          ? undefined
          : {
              idle: read(fd, IPPROTO_TCP, TCP_KEEPIDLE),
              interval: read(fd, IPPROTO_TCP, TCP_KEEPINTVL),
              probes: read(fd, IPPROTO_TCP, TCP_KEEPCNT),
            },
    }));
}

interface Ports {
  /** Undefined = whichever. */
  readonly local?: number | undefined;
  readonly remote?: number | undefined;
}

/** One descriptor of each connected socket. */
function findDescriptors({ local, remote }: Ports): readonly number[] {
  const wanted = new Set<string>();
  for (const line of readFileSync('/proc/self/net/tcp', 'utf8').split('\n').slice(1)) {
    const [, near = '', far = '', , , , , , , inode = '0'] = line.trim().split(/\s+/);
    const isWanted = [
      [local, near],
      [remote, far],
    ].every(([port, address]) => port === undefined || portOf(String(address)) === port);
    if (isWanted && portOf(far) !== 0 && inode !== '0') wanted.add(`socket:[${inode}]`);
  }
  const found: number[] = [];
  for (const name of readdirSync('/proc/self/fd')) {
    if (wanted.delete(linkOf(name))) found.push(Number(name));
  }
  return found;
}

function portOf(address: string): number {
  return Number.parseInt(address.split(':')[1] ?? '0', 16);
}

function linkOf(name: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${name}`);
  } catch {
    // The descriptor by which the folder was read.
    return '';
  }
}
