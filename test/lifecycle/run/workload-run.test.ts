import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WorkloadRun } from '../../../src/lifecycle/run/workload-run.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { freePort } from '../../support/free-ports.ts';
import { Sockets } from '../../support/sockets.ts';

describe('WorkloadRun', () => {
  let clock: FakeClock;
  let sockets: Sockets;
  let run: WorkloadRun;
  beforeEach(() => {
    clock = new FakeClock();
    sockets = new Sockets();
    run = new WorkloadRun({ hosts: ['127.0.0.1'] }, { clock, cold: true });
  });
  afterEach(async () => {
    run.end();
    await sockets.close();
    expect(clock.pending).toBe(0);
  });
  const never = new AbortController().signal;

  it('connects to a port that has not answered before', async () => {
    const { port } = await sockets.listen();
    const socket = sockets.own(await run.connect(port, never));
    expect(socket.remotePort).toBe(port);
  });

  it('connects at once only to a port that has answered before', async () => {
    const { port } = await sockets.listen();
    expect(await run.connectProven(port, { signal: never, withinMs: 2_000 })).toBeUndefined();
    sockets.own(await run.connect(port, never));
    const socket = await run.connectProven(port, { signal: never, withinMs: 2_000 });
    if (socket !== undefined) sockets.own(socket);
    expect(socket?.remotePort).toBe(port);
  });

  it('proves each port by itself', async () => {
    const first = await sockets.listen();
    const second = await sockets.listen();
    sockets.own(await run.connect(first.port, never));
    expect(await run.connectProven(second.port, { signal: never, withinMs: 2_000 })).toBeUndefined();
  });

  it('tells that a proven port refuses', async () => {
    const server = await sockets.listen();
    sockets.own(await run.connect(server.port, never));
    await server.close();
    expect(await run.connectProven(server.port, { signal: never, withinMs: 2_000 })).toBeUndefined();
  });

  it('ends those who wait when the run is over', async () => {
    const waiting = run.connect(await freePort(), never);
    const ended = expect(waiting).rejects.toThrow('stopped');
    await settle();
    run.end();
    await ended;
  });

  it('connects nobody when the run is over', async () => {
    const { port } = await sockets.listen();
    run.end();
    await expect(run.connect(port, never)).rejects.toThrow('stopped');
  });

  it('connects nobody to a proven port when the run is over', async () => {
    const { port } = await sockets.listen();
    sockets.own(await run.connect(port, never));
    run.end();
    expect(await run.connectProven(port, { signal: never, withinMs: 2_000 })).toBeUndefined();
  });

  it('ends the wait of a client that leaves', async () => {
    const client = new AbortController();
    const waiting = run.connect(await freePort(), client.signal);
    const ended = expect(waiting).rejects.toThrow('gone');
    await settle();
    client.abort(new Error('gone'));
    await ended;
  });
});
