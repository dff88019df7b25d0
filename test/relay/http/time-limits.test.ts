/** How long a client may take, on a clock that the test moves. */
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
