import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dial } from '../../src/lifecycle/dial.ts';
import { systemClock } from '../../src/system/clock.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { freePort } from '../support/free-ports.ts';
import { collect, Sockets } from '../support/sockets.ts';

const endpoints = (hosts: readonly string[], port: number) => hosts.map((host) => ({ host, port }));

describe('dial', () => {
  let sockets: Sockets;
  beforeEach(() => {
    sockets = new Sockets();
  });
  afterEach(() => sockets.close());
  const never = new AbortController().signal;
  const dialOwned = async (hosts: readonly string[], port: number) =>
    sockets.own(await dial(endpoints(hosts, port), { signal: never, clock: systemClock }));

  it('connects to the first host that accepts', async () => {
    const server = await sockets.listen();
    const socket = await dialOwned(['127.0.0.1', '127.0.0.2'], server.port);
    expect(socket.remoteAddress).toBe('127.0.0.1');
  });

  it('connects to the second host when the first refuses', async () => {
    const server = await sockets.listen(undefined, { host: '127.0.0.2' });
    const socket = await dialOwned(['127.0.0.1', '127.0.0.2'], server.port);
    expect(socket.remoteAddress).toBe('127.0.0.2');
  });

  it('throws what the last host says when all refuse', async () => {
    const port = await freePort();
    await expect(
      dial(endpoints(['127.0.0.1', '127.0.0.2'], port), { signal: never, clock: systemClock }),
    ).rejects.toMatchObject({
      code: 'ECONNREFUSED',
      address: '127.0.0.2',
    });
  });

  it('throws when there is no host', async () => {
    await expect(dial(endpoints([], 80), { signal: never, clock: systemClock })).rejects.toThrow(
      'no address',
    );
  });

  it('throws the reason when it was aborted before', async () => {
    const server = await sockets.listen();
    const signal = AbortSignal.abort(new Error('gone'));
    await expect(dial(endpoints(['127.0.0.1'], server.port), { signal, clock: systemClock })).rejects.toThrow(
      'gone',
    );
  });

  it('throws the reason and tries no other host when it is aborted meanwhile', async () => {
    const server = await sockets.listen();
    const client = new AbortController();
    const result = dial(endpoints(['127.0.0.1', '127.0.0.1'], server.port), {
      signal: client.signal,
      clock: systemClock,
    });
    client.abort(new Error('gone'));
    await expect(result).rejects.toThrow('gone');
  });

  it('is not touched by an abort that comes after it has connected', async () => {
    const server = await sockets.listen();
    const client = new AbortController();
    const socket = sockets.own(
      await dial(endpoints(['127.0.0.1'], server.port), { signal: client.signal, clock: systemClock }),
    );
    client.abort();
    expect(socket.destroyed).toBe(false);
  });

  it('keeps what the upstream says before anybody reads', async () => {
    const server = await sockets.listen((socket) => socket.end('hello'));
    const socket = await dialOwned(['127.0.0.1'], server.port);
    expect(socket.isPaused()).toBe(true);
    socket.resume();
    expect((await collect(socket)).toString()).toBe('hello');
  });

  it('does not crash when the upstream resets before anybody listens', async () => {
    const server = await sockets.listen();
    const socket = await dial(endpoints(['127.0.0.1'], server.port), { signal: never, clock: systemClock });
    (await server.socket(0)).resetAndDestroy();
    socket.resume();
    await new Promise<void>((resolve) => socket.once('close', () => resolve()));
    expect(socket.destroyed).toBe(true);
  });

  it('passes over a host that swallows what it is sent', async () => {
    const deaf = spawn(process.execPath, [
      '-e',
      "const s = require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(s.address().port))",
    ]);
    const [line] = await once(deaf.stdout, 'data');
    const port = Number(String(line));
    deaf.kill('SIGSTOP');
    try {
      // With its queue full the kernel answers no more.
      const fillers = Array.from({ length: 8 }, () => sockets.own(connect(port, '127.0.0.1')));
      for (const filler of fillers) filler.on('error', () => {});
      await Promise.race(fillers.map((filler) => once(filler, 'connect')));
      await sockets.listen(undefined, { host: '127.0.0.2', port });
      const clock = new FakeClock();
      const dialled = dial(endpoints(['127.0.0.1', '127.0.0.2'], port), { signal: never, clock });
      await clock.advance(2_000);
      expect(sockets.own(await dialled).remoteAddress).toBe('127.0.0.2');
    } finally {
      deaf.kill('SIGKILL');
      await once(deaf, 'exit');
    }
  });
});
