/** How long a client may take, on a clock that the test moves. */
import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PageHold } from '../../../src/relay/http/waiting/page-hold.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { readAll, readUntil, WebBed } from './web-bed.ts';

describe('a connection to a web door', () => {
  let clock: FakeClock;
  let bed: WebBed;
  beforeEach(async () => {
    clock = new FakeClock();
    const app = (_: unknown, response: { end(text: string): void }) => response.end('ok');
    bed = await WebBed.open([{ host: 'wiki', app }], { clock });
  });
  afterEach(() => bed.close());
  const REQUEST = 'GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n';

  test('is closed when the head of its first request takes too long, however busy it is', async () => {
    const socket = await bed.connect();
    const closed = readAll(socket);
    await expect.poll(() => bed.door.connections).toBe(1);
    for (let seconds = 0; seconds < 30; seconds += 5) {
      socket.write('X');
      await clock.advance(5_000);
    }
    await closed;
    expect(bed.door.connections).toBe(0);
  });

  test('is closed when it was idle for more than a minute, and no sooner', async () => {
    const socket = await bed.connect();
    socket.write(REQUEST);
    await readUntil(socket, /ok$/);
    await clock.advance(60_000);
    socket.write(REQUEST);
    await readUntil(socket, /ok$/);
    const closed = readAll(socket);
    await clock.advance(85_000);
    await closed;
  });

  test('is closed when the head of a later request takes too long', async () => {
    const socket = await bed.connect();
    socket.write(REQUEST);
    await readUntil(socket, /ok$/);
    socket.write('GET / HT');
    await expect.poll(() => bed.door.connections).toBe(1);
    const closed = readAll(socket);
    await clock.advance(40_000);
    await closed;
  });
});

describe('the body of a request', () => {
  let clock: FakeClock;
  let bed: WebBed;
  const upstreams: Socket[] = [];
  beforeEach(async () => {
    clock = new FakeClock();
    upstreams.length = 0;
    const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
    bed = await WebBed.open(
      [
        {
          host: 'wiki',
          raw: (socket: Socket) => {
            upstreams.push(socket);
            socket.on('data', (chunk: Buffer) => {
              if (/end/.test(chunk.toString('latin1'))) socket.write(answer);
              if (/^POST \/early/.test(chunk.toString('latin1'))) socket.write(answer.slice(0, -1));
            });
          },
        },
      ],
      { clock },
    );
  });
  afterEach(() => bed.close());

  const up = () => bed.service('wiki').tally.readTotals().up;
  const begin = async (path = '/', headers = 'Content-Length: 1000\r\n', body = 'some') => {
    const socket = await bed.connect();
    socket.write(`POST ${path} HTTP/1.1\r\nHost: wiki.test\r\n${headers}\r\n${body}`);
    await expect.poll(() => upstreams.length).toBe(1);
    await expect.poll(() => up()).toBe(body.length);
    return socket;
  };

  test('that stops coming for half a minute gets 408, and the upstream is free', async () => {
    const socket = await begin();
    const answer = readAll(socket);
    await clock.advance(29_999);
    expect(bed.service('wiki').leases).toBe(1);
    await clock.advance(1);
    expect(await answer).toMatch(/^HTTP\/1\.1 408 [\s\S]*Connection: close/);
    await expect.poll(() => upstreams[0]?.readableEnded).toBe(true);
    expect(bed.service('wiki').leases).toBe(0);
    expect(bed.service('wiki').tally.refusals).toEqual({ 'slow-body': 1 });
  });

  test('may take as long as it likes while it comes', async () => {
    const socket = await begin('/', 'Content-Length: 13\r\n');
    for (let count = 5; count <= 10; count++) {
      await clock.advance(25_000);
      socket.write('.');
      await expect.poll(up).toBe(count);
    }
    socket.write('end');
    expect(await readUntil(socket, /ok$/)).toMatch(/^HTTP\/1\.1 200 /);
    await clock.advance(60_000);
    expect(bed.service('wiki').tally.refusals).toEqual({});
  });

  test('is waited for as long as the upstream takes no more of it', async () => {
    const socket = await begin('/', 'Content-Length: 100000000\r\n');
    upstreams[0]?.pause();
    const push = () => {
      while (!socket.destroyed && socket.write(Buffer.alloc(65_536)));
    };
    socket.on('drain', push);
    push();
    let before = -1;
    await expect
      .poll(() => {
        const isStill = up() > 4 && up() === before;
        before = up();
        return isStill;
      })
      .toBe(true);
    await clock.advance(120_000);
    expect(bed.service('wiki').leases).toBe(1);
  });

  test('is waited for as long as the upstream has not said that it wants it', async () => {
    const socket = await begin('/', 'Expect: 100-continue\r\nContent-Length: 4\r\n', '');
    await clock.advance(120_000);
    expect(bed.service('wiki').leases).toBe(1);
    upstreams[0]?.write('HTTP/1.1 100 Continue\r\n\r\n');
    await readUntil(socket, /100 Continue/);
    const answer = readAll(socket);
    await clock.advance(30_000);
    expect(await answer).toMatch(/HTTP\/1\.1 408 /);
  });

  test('is waited for when its answer has begun', async () => {
    const socket = await begin('/early');
    await readUntil(socket, /o$/);
    await clock.advance(120_000);
    expect(bed.service('wiki').leases).toBe(1);
  });
});

describe('PageHold', () => {
  let clock: FakeClock;
  let held: boolean;
  let connect: { resolve(): void; reject(error: Error): void };
  let hold: PageHold;
  beforeEach(() => {
    clock = new FakeClock();
    held = true;
    const connected = new Promise<never>((resolve, reject) => {
      connect = { resolve: () => resolve({} as never), reject };
    });
    const lease = { connect: () => connected, release: () => (held = false) };
    hold = new PageHold({ clock, lease, onReady: () => {}, onEnd: () => {} });
  });
  const never = new AbortController().signal;

  /** A page is shown after a second. */
  const show = async () => {
    const outcome = hold.wait(1_000, never);
    await clock.advance(1_000);
    expect(await outcome).toEqual({ kind: 'late' });
  };

  test('holds the service for 15 s after it is ready, where a page was shown', async () => {
    await show();
    await clock.advance(60_000);
    expect(held).toBe(true);
    connect.resolve();
    await clock.advance(14_999);
    expect(held).toBe(true);
    await clock.advance(1);
    expect(held).toBe(false);
  });

  test('ends with the next request of its browser', async () => {
    await show();
    hold.served();
    expect(held).toBe(true);
    connect.resolve();
    await clock.advance(0);
    hold.served();
    expect(held).toBe(false);
  });

  test('ends at once where the start fails', async () => {
    await show();
    connect.reject(new Error('exit code 1'));
    await clock.advance(0);
    expect(held).toBe(false);
  });

  test('ends with a browser that leaves before a page was shown', async () => {
    const left = new AbortController();
    const outcome = hold.wait(1_000, left.signal);
    left.abort();
    expect(await outcome).toEqual({ kind: 'left' });
    expect(held).toBe(false);
  });
});
