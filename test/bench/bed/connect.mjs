import { connect } from 'node:net';

/** True when the port takes a connection, which is closed at once. */
export function canConnect(host, port) {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
