import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  hasLocalDatagramSocket,
  hasLocalSocket,
  isLocalClient,
} from '../../../src/system/net/local-sockets.ts';
import { Datagrams } from '../../support/datagrams.ts';
import { hasIpv6 } from '../../support/has-ipv6.ts';
import { Sockets } from '../../support/sockets.ts';

describe.runIf(process.platform === 'linux')('hasLocalSocket', () => {
  let sockets: Sockets;
  beforeEach(() => {
    sockets = new Sockets();
  });
  afterEach(() => sockets.close());

  test.each(['127.0.0.1', '127.0.0.2', ...(hasIpv6 ? ['::1'] : [])])(
    'finds a connection to %s, in its own direction alone',
    async (host) => {
      const server = await sockets.listen(undefined, { host });
      const client = await sockets.connect(server.port, host);
      const from = { host: client.localAddress ?? '', port: client.localPort ?? 0 };
      const to = { host, port: server.port };
      expect(hasLocalSocket(from, to)).toBe(true);
      expect(hasLocalSocket(from, { ...to, port: to.port ^ 1 })).toBe(false);
      expect(hasLocalSocket({ ...from, port: from.port ^ 1 }, to)).toBe(false);
    },
  );

  test('finds one that was made with an IPv4-mapped address', async () => {
    const server = await sockets.listen();
    const client = await sockets.connect(server.port, '::ffff:127.0.0.1');
    const from = { host: '127.0.0.1', port: client.localPort ?? 0 };
    expect(hasLocalSocket(from, { host: '127.0.0.1', port: server.port })).toBe(true);
  });
});

describe.runIf(process.platform === 'linux')('isLocalClient', () => {
  test('knows a client of this machine, and takes none that is gone for a stranger', async () => {
    const sockets = new Sockets();
    const server = await sockets.listen();
    const client = await sockets.connect(server.port);
    const accepted = await server.socket(0);
    const from = { host: '127.0.0.1', port: client.localPort ?? 0 };
    const to = { host: '127.0.0.1', port: server.port };
    expect(isLocalClient(from, to)).toBe(true);
    const ended = new Promise((resolve) => accepted.on('error', () => {}).once('close', resolve));
    client.resetAndDestroy();
    await ended;
    expect(hasLocalSocket(from, to)).toBe(false);
    expect(isLocalClient(from, to)).toBeUndefined();
    await sockets.close();
  });
});

describe.runIf(process.platform === 'linux')('hasLocalDatagramSocket', () => {
  let datagrams: Datagrams;
  beforeEach(() => {
    datagrams = new Datagrams();
  });
  afterEach(() => datagrams.close());

  test.each(['127.0.0.1', '127.0.0.2', ...(hasIpv6 ? ['::1'] : [])])(
    'finds a socket at %s, and none at another address',
    async (host) => {
      const { port } = await datagrams.bind(() => {}, { host });
      expect(hasLocalDatagramSocket({ host, port })).toBe(true);
      expect(hasLocalDatagramSocket({ host: '127.0.0.3', port })).toBe(false);
    },
  );

  test('finds a socket at every address', async () => {
    const { port } = await datagrams.bind(() => {}, { host: '0.0.0.0' });
    expect(hasLocalDatagramSocket({ host: '127.0.0.3', port })).toBe(true);
  });
});
