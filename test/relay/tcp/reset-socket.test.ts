import { once } from 'node:events';
import { connect as connectTls, createSecureContext } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { resetBelow, resetSocket } from '../../../src/relay/tcp/reset-socket.ts';
import { beginTls } from '../../../src/relay/tls/tls-offer.ts';
import { makeCertificate } from '../../support/certificates.ts';
import { Sockets } from '../../support/sockets.ts';

let sockets: Sockets;
beforeEach(() => {
  sockets = new Sockets();
});
afterEach(() => sockets.close());

test('a socket is reset', async () => {
  const { near, far } = await sockets.pair();
  const [closed, broken] = [once(near, 'close'), once(far.resume(), 'error')];
  resetSocket(near);
  await closed;
  expect(await broken).toMatchObject([{ code: 'ECONNRESET' }]);
});

test('a socket that sends its end just then is reset, too', async () => {
  const { near, far } = await sockets.pair();
  const [closed, ended] = [once(near, 'close'), once(far.resume(), 'end')];
  near.end();
  resetSocket(near);
  await Promise.all([closed, ended]);
  const broken = once(far, 'error');
  far.write('nobody is there any more');
  expect(await broken).toMatchObject([{ syscall: 'write' }]);
});

test.each(['is open', 'sends its end just then'])(
  'the socket below TLS closes where TLS %s and is to be reset',
  async (state) => {
    const { near: raw, far: below } = await sockets.pair();
    const inside = beginTls(below, {
      offer: { context: createSecureContext(makeCertificate({ host: 'cache.test' })) },
    });
    resetBelow(inside, below);
    const client = connectTls({ socket: raw, rejectUnauthorized: false });
    client.on('error', () => {});
    await Promise.all([once(client, 'secureConnect'), once(inside, 'secure')]);
    const closed = once(below, 'close');
    if (state !== 'is open') inside.end();
    resetSocket(inside);
    await closed;
    expect(inside.destroyed).toBe(true);
  },
);
