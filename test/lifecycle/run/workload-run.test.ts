import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WorkloadRun } from '../../../src/lifecycle/run/workload-run.ts';
import { withDeafPort } from '../../support/deaf-port.ts';
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

  test('connects to a port that has not answered before', async () => {
    const { port } = await sockets.listen();
    const socket = sockets.own(await run.connect(port, never));
    expect(socket.remotePort).toBe(port);
  });

  test('connects at once only to a port that has answered before', async () => {
    const { port } = await sockets.listen();
    expect(await run.connectProven(port, { signal: never, withinMs: 2_000 })).toBeUndefined();
    sockets.own(await run.connect(port, never));
    const socket = await run.connectProven(port, { signal: never, withinMs: 2_000 });
    if (socket !== undefined) sockets.own(socket);
    expect(socket?.remotePort).toBe(port);
  });

  test('proves each port by itself', async () => {
    const first = await sockets.listen();
    const second = await sockets.listen();
    sockets.own(await run.connect(first.port, never));
    expect(await run.connectProven(second.port, { signal: never, withinMs: 2_000 })).toBeUndefined();
  });

  test('gives up the other dials once one port has answered', async () => {
    const { port } = await sockets.listen();
    await withDeafPort(sockets, async (deaf) => {
      await run.proveAny([deaf, port], never);
      await settle();
      expect(clock.pending).toBe(0);
    });
  });

  test('tells that a proven port refuses', async () => {
    const server = await sockets.listen();
    sockets.own(await run.connect(server.port, never));
    await server.close();
    expect(await run.connectProven(server.port, { signal: never, withinMs: 2_000 })).toBeUndefined();
  });

  test('ends those who wait when the run is over', async () => {
    const waiting = run.connect(await freePort(), never);
    const ended = expect(waiting).rejects.toThrow('stopped');
    await settle();
    run.end();
    await ended;
  });

  test('connects nobody when the run is over', async () => {
    const { port } = await sockets.listen();
    run.end();
    await expect(run.connect(port, never)).rejects.toThrow('stopped');
  });

  test('connects nobody to a proven port when the run is over', async () => {
    const { port } = await sockets.listen();
    sockets.own(await run.connect(port, never));
    run.end();
    expect(await run.connectProven(port, { signal: never, withinMs: 2_000 })).toBeUndefined();
  });

  test('ends the wait of a client that leaves', async () => {
    const client = new AbortController();
    const waiting = run.connect(await freePort(), client.signal);
    const ended = expect(waiting).rejects.toThrow('gone');
    await settle();
    client.abort(new Error('gone'));
    await ended;
  });
});

describe('WorkloadRun with datagram ports', () => {
  const HOSTS = ['10.0.0.1', '10.0.0.2', '10.0.0.3'];
  const never = new AbortController().signal;
  const start = (cold: boolean) => new WorkloadRun({ hosts: HOSTS }, { clock: new FakeClock(), cold });
  const upstream = () => ({ close() {} });
  /** Where a flow on the proved port 53 is led to. */
  const followed = async (run: WorkloadRun, notAt?: string) => {
    let host = 'none';
    const follow = async (target: { readonly host: string }) => {
      host = target.host;
      return upstream();
    };
    await run.passDatagrams(53, {
      passage: {
        readiness: 'reply',
        prove: () => Promise.reject(new Error('it is proved')),
        follow,
        notAt: notAt === undefined ? undefined : { host: notAt, port: 53 },
      },
      signal: never,
    });
    return host;
  };

  test('leads a flow whose host was silent to the next one, and from the last to the first', async () => {
    const run = start(false);
    expect([await followed(run), await followed(run, '10.0.0.1'), await followed(run, '10.0.0.3')]).toEqual([
      ...['10.0.0.1', '10.0.0.2', '10.0.0.1'],
    ]);
  });

  test('leads every flow to the host that has answered', async () => {
    const run = start(false);
    run.datagramsAnswered(53, { host: '10.0.0.2', port: 53 });
    expect([await followed(run), await followed(run, '10.0.0.2')]).toEqual(['10.0.0.2', '10.0.0.2']);
    expect(run.mayAnswerElsewhere(53, { host: '10.0.0.2', port: 53 })).toBe(false);
    expect(run.mayAnswerElsewhere(53, { host: '10.0.0.1', port: 53 })).toBe(true);
  });

  test('offers a datagram to one host at a time in open mode, no more often than ICMP answers', async () => {
    const clock = new FakeClock();
    const run = new WorkloadRun({ hosts: HOSTS }, { clock, cold: true });
    const offers: string[][] = [];
    const prove = (targets: readonly { readonly host: string }[]) => {
      offers.push(targets.map(({ host }) => host));
      return Promise.reject(new Error('port 53 refuses datagrams'));
    };
    const client = new AbortController();
    const passed = run.passDatagrams(53, {
      passage: { readiness: 'open', prove, follow: () => Promise.reject(new Error('it is not proved')) },
      signal: client.signal,
    });
    const left = expect(passed).rejects.toThrow('gone');
    // Four tries at once at the most, and one for each second.
    await clock.advance(999);
    expect(offers).toEqual([['10.0.0.1'], ['10.0.0.2'], ['10.0.0.3'], ['10.0.0.1']]);
    await clock.advance(2_001);
    expect(offers.length).toBeGreaterThan(4);
    expect(offers.length).toBeLessThanOrEqual(7);
    client.abort(new Error('gone'));
    await left;
    run.end();
  });

  test('looks no further where a host is there, but its datagram port does not answer', async () => {
    const sockets = new Sockets();
    const { port } = await sockets.listen();
    const run = new WorkloadRun(
      { hosts: ['127.0.0.1', '127.0.0.2'] },
      { clock: new FakeClock(), cold: false },
    );
    expect(run.mayAnswerElsewhere(53, { host: '127.0.0.1', port: 53 })).toBe(true);
    sockets.own(await run.connect(port, never));
    expect(run.mayAnswerElsewhere(53, { host: '127.0.0.1', port: 53 })).toBe(false);
    run.end();
    await sockets.close();
  });
});

describe('WorkloadRun whose ports are mapped', () => {
  test('has no warm path, since its clients are spread', async () => {
    const sockets = new Sockets();
    const { port } = await sockets.listen();
    const ports = { 'tcp/http': [{ host: '127.0.0.1', port }] };
    const run = new WorkloadRun({ hosts: ['127.0.0.1'], ports }, { clock: new FakeClock(), cold: true });
    sockets.own(await run.connect('http', new AbortController().signal));
    expect(run.provenEndpoints('http')).toBeUndefined();
    run.end();
    await sockets.close();
  });
});
