import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { OwnListeners } from '../../../src/system/net/own-listeners.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { freePort } from '../../support/free-ports.ts';
import { Sockets, type TestServer } from '../../support/sockets.ts';

const LISTENER = { protocol: 'tcp', address: '', port: 8_000, service: 'web' } as const;

describe('a client that comes from where a connection of our own comes from', () => {
  let sockets: Sockets;
  let upstream: TestServer;
  let isLocalClient: boolean | undefined;
  let own: OwnListeners;
  beforeEach(async () => {
    sockets = new Sockets();
    upstream = await sockets.listen();
    own = new OwnListeners({ clock: new FakeClock(), isLocalClient: () => isLocalClient });
  });
  afterEach(() => sockets.close());

  /** Dials the upstream; a client comes to `reached` from the same address and port. */
  const comesBack = async (reached: { readonly host: string; readonly port: number }) => {
    const endpoint = { host: '127.0.0.1', port: upstream.port };
    const dialled = sockets.begin(upstream.port);
    own.noteDial(dialled, endpoint);
    await upstream.socket(0);
    await settle();
    const client = { address: '127.0.0.1', port: dialled.localPort ?? 0, reached };
    return { isOurs: own.hasComeBack(client, LISTENER), why: own.explain('tcp', endpoint) };
  };

  test('is served where another process of this machine has that connection', async () => {
    isLocalClient = true;
    expect(await comesBack({ host: '127.0.0.1', port: 8_000 })).toEqual({ isOurs: false, why: undefined });
  });

  test('is served where the system does not tell', async () => {
    isLocalClient = undefined;
    expect(await comesBack({ host: '127.0.0.1', port: 8_000 })).toEqual({ isOurs: false, why: undefined });
  });

  test('is our own where nobody else has it: its address was translated', async () => {
    isLocalClient = false;
    const why = `127.0.0.1:${upstream.port} leads back to the proxy's own listener of service web`;
    expect(await comesBack({ host: '127.0.0.1', port: 8_000 })).toEqual({ isOurs: true, why });
  });

  test('is served where what was dialled has refused', async () => {
    isLocalClient = false;
    const port = await freePort();
    const dialled = sockets.begin(port);
    own.noteDial(dialled, { host: '127.0.0.1', port });
    let from = 0;
    dialled.once('connectionAttempt', () => process.nextTick(() => (from = dialled.localPort ?? 0)));
    await expect(once(dialled, 'connect')).rejects.toThrow('ECONNREFUSED');
    expect(from).toBeGreaterThan(0);
    const client = { address: '127.0.0.1', port: from, reached: { host: '127.0.0.1', port: 8_000 } };
    expect(own.hasComeBack(client, LISTENER)).toBe(false);
  });

  test('is our own where it has reached the very endpoint that was dialled', async () => {
    isLocalClient = true;
    expect(await comesBack({ host: '127.0.0.1', port: upstream.port })).toMatchObject({ isOurs: true });
  });
});

describe('a datagram that comes from the port of a flow of our own', () => {
  const LISTENER = { protocol: 'udp', address: '', port: 8_000, service: 'dns' } as const;
  const target = { host: '192.0.2.1', port: 53 };
  const own = ({ hasSocket }: { readonly hasSocket?: boolean } = {}) =>
    new OwnListeners({
      clock: new FakeClock(),
      hasLocalDatagramSocket: () => hasSocket,
    });
  const note = (listeners: OwnListeners) =>
    listeners.noteUpstream(40_000, { target, local: { host: '127.0.0.1', port: 40_000 } });

  test('has come back where it comes from the same address, and what that led to is one of ours', () => {
    const listeners = own();
    note(listeners);
    expect(listeners.explain('udp', target)).toBeUndefined();
    expect(listeners.hasDatagramComeBack({ host: '::ffff:127.0.0.1', port: 40_000 }, LISTENER)).toBe(true);
    const why = "192.0.2.1:53 leads back to the proxy's own listener of service dns";
    expect(listeners.explain('udp', target)).toBe(why);
  });

  test('has come back where its address was translated to another one of this machine’s', () => {
    const listeners = own({ hasSocket: false });
    note(listeners);
    expect(listeners.hasDatagramComeBack({ host: '127.0.0.2', port: 40_000 }, LISTENER)).toBe(true);
  });

  test.each([
    ['another process has that address', { hasSocket: true }, '127.0.0.2'],
    ['the system does not tell who has that address', {}, '127.0.0.2'],
    ['it comes from another machine', { hasSocket: false }, '192.0.2.7'],
  ])('is served where %s', (_, options, host) => {
    const listeners = own(options);
    note(listeners);
    expect(listeners.hasDatagramComeBack({ host, port: 40_000 }, LISTENER)).toBe(false);
    expect(listeners.explain('udp', target)).toBeUndefined();
  });

  test('is served when the flow has ended', () => {
    const listeners = own();
    note(listeners)();
    expect(listeners.hasDatagramComeBack({ host: '127.0.0.1', port: 40_000 }, LISTENER)).toBe(false);
  });
});
