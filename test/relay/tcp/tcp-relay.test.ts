import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RelayedConnection, RelaySockets, TcpRelay } from '../../../src/relay/tcp/tcp-relay.ts';
import { settle } from '../../support/fake-clock.ts';
import { createRelay, RELAY_KINDS } from '../../support/relays.ts';
import { collect, ending, pattern, receive, Sockets } from '../../support/sockets.ts';
import { createSendUrgent } from '../../support/urgent.ts';

const MIB = 1_048_576;

describe.each(RELAY_KINDS)('TcpRelay of the kind %s', (kind) => {
  let joiner: TcpRelay;
  let sockets: Sockets;
  /** What the client holds, and what the upstream holds; the relay joins the other two ends. */
  let client: Socket;
  let upstream: Socket;
  let inner: RelaySockets;
  let ends: number;
  /** How it ended, in the relay's words. */
  let how: string | undefined;
  let ended: Promise<void>;
  let connection: RelayedConnection;

  beforeEach(async () => {
    joiner = await createRelay(kind);
    sockets = new Sockets();
    const left = await sockets.pair();
    const right = await sockets.pair();
    client = left.near;
    upstream = right.far;
    inner = { client: left.far, upstream: right.near, keepAliveMs: 0 };
    // As whoever accepts a client does, or its listening socket.
    joiner.tune(inner.client, 0);
    ends = 0;
  });
  afterEach(async () => {
    joiner.close();
    await sockets.close();
  });

  const relay = () => {
    ended = new Promise((resolve) => {
      connection = joiner.join(inner, (reached) => {
        ends++;
        how = reached;
        resolve();
      });
    });
  };
  const expectOneEnd = async () => {
    await ended;
    await settle();
    expect(ends).toBe(1);
  };

  const sizes = [0, 1, 5 * MIB];
  const matrix = sizes.flatMap((up) => sizes.map((down) => [up, down] as const));

  test.each(matrix)('carries %i bytes up and %i down when the client ends first', async (up, down) => {
    relay();
    const [request, answer] = [pattern(up, 1), pattern(down, 2)];
    client.end(request);
    const received = await collect(upstream);
    expect(upstream.writable).toBe(true);
    upstream.end(answer);
    expect((await collect(client)).equals(answer)).toBe(true);
    expect(received.equals(request)).toBe(true);
    await expectOneEnd();
  });

  test.each(matrix)('carries %i bytes up and %i down when the upstream ends first', async (up, down) => {
    relay();
    const [request, answer] = [pattern(up, 1), pattern(down, 2)];
    upstream.end(answer);
    const received = await collect(client);
    expect(client.writable).toBe(true);
    client.end(request);
    expect((await collect(upstream)).equals(request)).toBe(true);
    expect(received.equals(answer)).toBe(true);
    await expectOneEnd();
  });

  test.each(matrix)('carries %i bytes up and %i down when both end at once', async (up, down) => {
    relay();
    const [request, answer] = [pattern(up, 1), pattern(down, 2)];
    const received = Promise.all([collect(upstream), collect(client)]);
    client.end(request);
    upstream.end(answer);
    const [above, below] = await received;
    expect(above.equals(request)).toBe(true);
    expect(below.equals(answer)).toBe(true);
    await expectOneEnd();
  });

  test('closes an idle connection in order, but not one that has carried something since', async () => {
    relay();
    const received = { above: '', below: '' };
    upstream.on('data', (chunk) => (received.above += String(chunk)));
    client.on('data', (chunk) => (received.below += String(chunk)));
    client.write('hello');
    await once(upstream, 'data');
    expect(connection.quietMs()).toBeLessThan(10_000);
    // It is on its way when the connection is to be closed: what was counted before counts no more.
    client.write('!');
    connection.closeIdle(5);
    await once(upstream, 'data');
    upstream.write('answer');
    await once(client, 'data');
    expect(received).toEqual({ above: 'hello!', below: 'answer' });
    await settle();
    expect(ends).toBe(0);
    const over = Promise.all([ending(client), ending(upstream)]);
    connection.closeIdle(12);
    expect(await over).toEqual(['closed', 'closed']);
    await expectOneEnd();
    expect(how).toBe('idle');
  });

  test('passes on what both sent before it began', async () => {
    client.end('question');
    upstream.end('answer');
    await Promise.all([once(inner.client, 'readable'), once(inner.upstream, 'readable')]);
    relay();
    const [above, below] = await Promise.all([collect(upstream), collect(client)]);
    expect([above.toString(), below.toString()]).toEqual(['question', 'answer']);
    await expectOneEnd();
  });

  test('passes on an end that came before it began', async () => {
    upstream.end();
    await once(inner.upstream, 'end');
    relay();
    expect(await collect(client)).toHaveLength(0);
    client.end('late');
    expect((await collect(upstream)).toString()).toBe('late');
    await expectOneEnd();
  });

  test('goes on downwards when the client has ended', async () => {
    relay();
    client.end();
    await collect(upstream);
    upstream.write('one');
    const [first] = await once(client, 'data');
    upstream.end('two');
    const rest = await collect(client);
    expect(String(first) + rest.toString()).toBe('onetwo');
    await expectOneEnd();
  });

  test('counts what each side has taken, also after the end', async () => {
    relay();
    client.end(pattern(300_000));
    await collect(upstream);
    upstream.end('answer');
    await collect(client);
    await expectOneEnd();
    expect(connection.traffic).toEqual({ bytesUp: 300_000, bytesDown: 6 });
  });

  test('resets both sides when it is destroyed', async () => {
    relay();
    client.write('ping');
    await once(upstream, 'data');
    const ends = Promise.all([ending(client), ending(upstream)]);
    connection.destroy();
    expect(await ends).toEqual(['ECONNRESET', 'ECONNRESET']);
    await expectOneEnd();
    connection.destroy();
  });

  test('holds no more than a little when the client does not read', async () => {
    relay();
    const total = 64 * MIB;
    let peak = 0;
    let sent = 0;
    const chunk = pattern(MIB);
    // Writes until the kernel and the relay take no more: until nothing has moved for some turns of the loop.
    for (let idle = 0; idle < 200; ) {
      if (sent < total && !upstream.writableNeedDrain) {
        upstream.write(chunk);
        sent += chunk.length;
        idle = 0;
      }
      const moved = inner.upstream.bytesRead;
      await settle();
      idle = inner.upstream.bytesRead === moved ? idle + 1 : 0;
      peak = Math.max(peak, inner.client.writableLength + inner.upstream.readableLength);
    }
    expect(sent).toBeLessThan(total);
    expect(peak).toBeLessThan(MIB);
    upstream.end();
    expect((await collect(client)).length).toBe(sent);
    client.end();
    upstream.resume();
    await expectOneEnd();
  });

  test('resets the upstream when the client resets', async () => {
    relay();
    const end = ending(upstream);
    client.resetAndDestroy();
    expect(await end).toBe('ECONNRESET');
    await expectOneEnd();
  });

  test('resets the client when the upstream resets', async () => {
    relay();
    const end = ending(client);
    upstream.resetAndDestroy();
    expect(await end).toBe('ECONNRESET');
    await expectOneEnd();
  });

  test('resets the upstream when the client resets after a transfer', async () => {
    relay();
    // All of it: Node's streams take a reset for an end while they have more to read, those of a test, too.
    const arrived = new Promise<void>((resolve) => {
      let left = MIB;
      upstream.on('data', ({ length }) => {
        left -= length;
        if (left === 0) resolve();
      });
    });
    client.write(pattern(MIB));
    await arrived;
    const end = ending(upstream);
    client.resetAndDestroy();
    expect(await end).toBe('ECONNRESET');
    await expectOneEnd();
  });

  const sides = ['upstream', 'client'] as const;

  test.each(sides)(
    'passes on what the %s has sent before it resets, while the other side sends',
    async (side) => {
      for (let round = 0; round < 150; round++) {
        const [left, right] = [await sockets.pair(), await sockets.pair()];
        const [near, far] = side === 'upstream' ? [left.near, right.far] : [right.far, left.near];
        const over = new Promise<void>((resolve) => {
          joiner.join({ client: left.far, upstream: right.near, keepAliveMs: 60_000 }, () => resolve());
        });
        const arrived = receive(near);
        // In one go: the relay sees them together, and has to write to who is gone already.
        near.write(pattern(5_000));
        far.write('HTTP/1.1 413 Content Too Large\r\n\r\n');
        far.resetAndDestroy();
        expect(String(await arrived), `round ${round}`).toBe('HTTP/1.1 413 Content Too Large\r\n\r\n');
        near.destroy();
        await over;
      }
    },
  );

  test.runIf(kind === 'splice').each(sides)(
    'passes on what the %s has sent before it resets to one who reads late',
    async (side) => {
      relay();
      const [near, far] = side === 'upstream' ? [client, upstream] : [upstream, client];
      const answer = pattern(300_000);
      near.pause();
      far.write(answer);
      // Those of the relay: what the far side's own kernel has yet to send is lost with its reset.
      while (connection.traffic[side === 'upstream' ? 'bytesDown' : 'bytesUp'] < answer.length)
        await settle();
      far.resetAndDestroy();
      near.write(pattern(5_000));
      expect((await receive(near)).equals(answer)).toBe(true);
      await expectOneEnd();
    },
  );

  test('ends when one side has reset and the other takes nothing of the rest for 5 s', {
    timeout: 30_000,
  }, async () => {
    relay();
    upstream.write(pattern(32 * MIB));
    const moved = () => connection.traffic.bytesDown + inner.upstream.bytesRead;
    // Nothing tells that the relay is stuck but that it moves nothing any more.
    let before: number;
    do {
      before = moved();
      await sleep(50);
    } while (before === 0 || moved() > before);
    const resetMs = performance.now();
    upstream.resetAndDestroy();
    // Node's streams notice it when they write.
    client.write('more');
    await expectOneEnd();
    expect(performance.now() - resetMs).toBeGreaterThan(4_900);
  });

  const amounts = sides.flatMap((side) => [3, 4 * MIB].map((bytes) => [side, bytes] as const));

  test.runIf(process.platform === 'linux').each(amounts)(
    'passes on what the %s sends around an urgent byte, %i bytes before it',
    async (side, bytes) => {
      relay();
      const sendUrgent = await createSendUrgent();
      const [near, far] = side === 'upstream' ? [client, upstream] : [upstream, client];
      const [before, after] = [pattern(bytes, 1), pattern(bytes, 2)];
      const arrived = collect(near);
      let left = 1 + 2 * bytes;
      const all = new Promise<void>((resolve) => {
        near.on('data', ({ length }) => {
          left -= length;
          if (left === 0) resolve();
        });
      });
      // Only once all of it has gone out: the descriptor knows nothing of what Node still holds.
      await new Promise((resolve) => far.write(before, resolve));
      sendUrgent(far, 33);
      far.write(after);
      await all;
      far.end();
      expect((await arrived).equals(Buffer.concat([before, Buffer.from([33]), after]))).toBe(true);
      near.end();
      await expectOneEnd();
    },
  );

  test.runIf(kind === 'splice')(
    'notices a reset of the client while the upstream takes nothing',
    async () => {
      relay();
      client.write(pattern(64 * MIB));
      // Nothing tells that the relay is stuck but that it moves nothing any more.
      let before: number;
      do {
        before = connection.traffic.bytesUp;
        await sleep(50);
      } while (before === 0 || connection.traffic.bytesUp > before);
      client.resetAndDestroy();
      await expectOneEnd();
    },
  );

  test('resets the client when the upstream resets after the client has ended', async () => {
    relay();
    client.end();
    await collect(upstream);
    const end = ending(client);
    upstream.resetAndDestroy();
    expect(await end).toBe('ECONNRESET');
    await expectOneEnd();
  });

  test('resets the upstream when the client is gone and more comes for it', async () => {
    relay();
    const end = ending(upstream);
    client.destroy();
    const feed = () => {
      while (upstream.writable && upstream.write(pattern(65_536)));
    };
    upstream.on('drain', feed);
    feed();
    expect(['ECONNRESET', 'EPIPE']).toContain(await end);
    await expectOneEnd();
  });

  test('resets the client when the upstream was gone before it began', async () => {
    upstream.resetAndDestroy();
    await once(inner.upstream, 'close').catch(() => {});
    const end = ending(client);
    relay();
    expect(await end).toBe('ECONNRESET');
    await expectOneEnd();
    expect(how).toBe('upstream-reset');
  });

  test('resets the upstream when the client was gone before it began', async () => {
    client.resetAndDestroy();
    await once(inner.client, 'close').catch(() => {});
    const end = ending(upstream);
    relay();
    expect(await end).toBe('ECONNRESET');
    await expectOneEnd();
    expect(how).toBe('client-reset');
  });

  test('ends once when both were gone before it began', async () => {
    inner.client.destroy();
    inner.upstream.destroy();
    relay();
    await expectOneEnd();
  });

  test('ends once when both are reset at the same moment', async () => {
    relay();
    client.resetAndDestroy();
    upstream.resetAndDestroy();
    await expectOneEnd();
  });
});
