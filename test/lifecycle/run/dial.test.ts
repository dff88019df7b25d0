import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Dialled, dial } from '../../../src/lifecycle/run/dial.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { withDeafPort } from '../../support/deaf-port.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { freePort } from '../../support/free-ports.ts';
import { collect, Sockets } from '../../support/sockets.ts';

const endpoints = (hosts: readonly string[], port: number) => hosts.map((host) => ({ host, port }));

describe('dial', () => {
  let sockets: Sockets;
  beforeEach(() => {
    sockets = new Sockets();
  });
  afterEach(() => sockets.close());
  const never = new AbortController().signal;
  const dialOwned = async (hosts: readonly string[], port: number) =>
    sockets.own((await dial(endpoints(hosts, port), { signal: never, clock: systemClock })).socket);

  test('connects to the first host that accepts', async () => {
    const server = await sockets.listen();
    const socket = await dialOwned(['127.0.0.1', '127.0.0.2'], server.port);
    expect(socket.remoteAddress).toBe('127.0.0.1');
  });

  test('connects to the second host when the first refuses', async () => {
    const server = await sockets.listen(undefined, { host: '127.0.0.2' });
    const socket = await dialOwned(['127.0.0.1', '127.0.0.2'], server.port);
    expect(socket.remoteAddress).toBe('127.0.0.2');
  });

  test("leads no name to the proxy's own listeners", async () => {
    const server = await sockets.listen();
    const clock = systemClock;
    const explainOwn = () => 'it is the proxy itself';
    const dialled = dial(endpoints(['localhost'], server.port), { signal: never, clock, explainOwn });
    await expect(dialled).rejects.toThrow('it is the proxy itself');
    expect(server.sockets).toHaveLength(0);
  });

  test('throws what each host says when all refuse', async () => {
    const port = await freePort();
    await expect(
      dial(endpoints(['127.0.0.1', '127.0.0.2'], port), { signal: never, clock: systemClock }),
    ).rejects.toMatchObject({
      errors: [
        { code: 'ECONNREFUSED', address: '127.0.0.1' },
        { code: 'ECONNREFUSED', address: '127.0.0.2' },
      ],
    });
  });

  test('throws when there is no host', async () => {
    await expect(dial(endpoints([], 80), { signal: never, clock: systemClock })).rejects.toThrow(
      'no address',
    );
  });

  test('throws the reason when it was aborted before', async () => {
    const server = await sockets.listen();
    const signal = AbortSignal.abort(new Error('gone'));
    await expect(dial(endpoints(['127.0.0.1'], server.port), { signal, clock: systemClock })).rejects.toThrow(
      'gone',
    );
  });

  test('throws the reason and tries no other host when it is aborted meanwhile', async () => {
    const server = await sockets.listen();
    const client = new AbortController();
    const result = dial(endpoints(['127.0.0.1', '127.0.0.1'], server.port), {
      signal: client.signal,
      clock: systemClock,
    });
    client.abort(new Error('gone'));
    await expect(result).rejects.toThrow('gone');
  });

  test('is not touched by an abort that comes after it has connected', async () => {
    const server = await sockets.listen();
    const client = new AbortController();
    const options = { signal: client.signal, clock: systemClock };
    const socket = sockets.own((await dial(endpoints(['127.0.0.1'], server.port), options)).socket);
    client.abort();
    expect(socket.destroyed).toBe(false);
  });

  test('keeps what the upstream says before anybody reads', async () => {
    const server = await sockets.listen((socket) => socket.end('hello'));
    const socket = await dialOwned(['127.0.0.1'], server.port);
    expect(socket.isPaused()).toBe(true);
    socket.resume();
    expect((await collect(socket)).toString()).toBe('hello');
  });

  test('does not crash when the upstream resets before anybody listens', async () => {
    const server = await sockets.listen();
    const { socket } = await dial(endpoints(['127.0.0.1'], server.port), {
      signal: never,
      clock: systemClock,
    });
    (await server.socket(0)).resetAndDestroy();
    socket.resume();
    await new Promise<void>((resolve) => socket.once('close', () => resolve()));
    expect(socket.destroyed).toBe(true);
  });

  test('tries the next host after 250 ms when one swallows what it is sent', async () => {
    await withDeafPort(sockets, async (port) => {
      await sockets.listen(undefined, { host: '127.0.0.2', port });
      const clock = new FakeClock();
      let reached: Dialled | undefined;
      const dialled = dial(endpoints(['127.0.0.1', '127.0.0.2'], port), { signal: never, clock });
      void dialled.then((result) => {
        reached = result;
      });
      await clock.advance(249);
      expect(reached).toBeUndefined();
      await clock.advance(1);
      const { socket, endpoint } = await dialled;
      expect(sockets.own(socket).remoteAddress).toBe('127.0.0.2');
      expect(endpoint.host).toBe('127.0.0.2');
      expect(clock.pending).toBe(0);
    });
  });

  test('gives up a host that has been silent for 2 s', async () => {
    await withDeafPort(sockets, async (port) => {
      const clock = new FakeClock();
      const dialled = dial(endpoints(['127.0.0.1'], port), { signal: never, clock });
      const outcome = expect(dialled).rejects.toThrow('did not answer within 2000 ms');
      await clock.advance(2_000);
      await outcome;
    });
  });
});
