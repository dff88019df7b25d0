/** That of a port which somebody else listens on. */
export const PORT_HELD = 'another process holds the port';

/** Why a socket could not be bound, in words. Pure. */
export function describeBindError(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return PORT_HELD;
    case 'EADDRNOTAVAIL':
      return 'this machine does not have that address';
    case 'EACCES':
      return 'not permitted; ports below 1024 need CAP_NET_BIND_SERVICE';
    case 'EMFILE':
    case 'ENFILE':
      return `no file descriptor is left for it (${error.code})`;
    default:
      return error.message;
  }
}
