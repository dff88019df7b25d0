import { beforeEach, describe, expect, test } from 'vitest';
import type { Happening } from '../../../src/model/running/happening.ts';
import { type EventClient, EventStream } from '../../../src/status/api/event-stream.ts';
import { Happenings } from '../../../src/system/happenings.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';

const BEAT_MS = 15_000;

class FakeClient implements EventClient {
  readonly remoteAddress: string;
  readonly written: string[] = [];
  /** Whether it takes what it is sent. */
  takes = true;
  isCut = false;
  #onClose = () => {};

  constructor(remoteAddress = '10.0.0.5') {
    this.remoteAddress = remoteAddress;
  }

  get untakenBytes(): number {
    return this.takes ? 0 : this.written.join('').length;
  }

  /** The events that it was sent. */
  get events(): readonly string[] {
    const blocks = this.written.join('').split('\n\n');
    return blocks.flatMap((block) => /^event: (.*)$/m.exec(block)?.[1] ?? []);
  }

  /** The id of the last event. */
  get lastId(): string {
    return [...this.written.join('').matchAll(/^id: (.*)$/gm)].at(-1)?.[1] ?? '';
  }

  write(text: string): void {
    this.written.push(text);
  }

  cut(): void {
    this.isCut = true;
    this.#onClose();
    this.#onClose = () => {};
  }

  onClose(callback: () => void): void {
    this.#onClose = callback;
  }
}

describe('EventStream', () => {
  let clock: FakeClock;
  let happenings: Happenings;
  let stream: EventStream;
  let isTrusted: boolean;
  const mayStay = async () => isTrusted;
  beforeEach(() => {
    isTrusted = true;
    clock = new FakeClock();
    happenings = new Happenings();
    stream = new EventStream({ clock, listen: (listener) => happenings.listen(listener) });
  });
  const join = (lastId?: string, address?: string) => {
    const client = new FakeClient(address);
    stream.add(client, { lastId, mayStay });
    return client;
  };
  const tell = (count = 1, more: Partial<Happening> = {}) => {
    const state = { kind: 'state', service: 'db', state: 'ready', life: 'awake', ...more } as Happening;
    for (let times = 0; times < count; times++) happenings.tell(state);
  };

  test('listens only from when somebody comes', () => {
    expect(happenings.isHeard).toBe(false);
    join();
    expect(happenings.isHeard).toBe(true);
  });

  test('sends each event on one line of JSON, with an id that grows', () => {
    const client = join();
    tell(2, { reason: 'a\nb' });
    const [first, second] = client.written.slice(1);
    const at = clock.nowMs();
    const data = { at: new Date(at).toISOString().replace(/\.\d+Z/, 'Z'), service: 'db', state: 'ready' };
    expect(first).toMatch(/^id: \w+-1\nevent: state\ndata: (.*)\n\n$/);
    expect(second).toMatch(/^id: \w+-2\n/);
    expect(JSON.parse(/^data: (.*)$/m.exec(first ?? '')?.[1] ?? '')).toEqual({
      ...data,
      life: 'awake',
      reason: 'a\nb',
    });
  });

  test('cuts long reasons', () => {
    const client = join();
    tell(1, { reason: 'x'.repeat(10_000) });
    expect(/"reason":"(x+…)"/.exec(client.written.join(''))?.[1]).toHaveLength(501);
  });

  test('sends nobody what a workload has printed: who has shown a token and who has not get the same events', () => {
    const client = join();
    const phases = { room: 0, queue: 0, dependencies: 0, engine: 1, health: 0, port: 0 };
    const wake = { cause: 'for 10.0.0.5:1', atMs: 0, phases, result: 'failed', output: ['hunter2'] } as const;
    happenings.tell({ kind: 'woken', service: 'db', wake });
    expect(client.events).toEqual(['woken']);
    expect(client.written.join('')).not.toContain('hunter2');
  });

  test('sends who comes back what it has missed', () => {
    const client = join();
    tell(3);
    const { lastId } = client;
    client.cut();
    tell(2);
    const again = join(lastId);
    expect(again.events).toEqual(['state', 'state']);
    tell();
    expect(again.events).toHaveLength(3);
  });

  test('knows of one that came before anything happened from where it has listened', () => {
    const client = join();
    const { lastId } = client;
    client.cut();
    tell(2);
    expect(join(lastId).events).toEqual(['state', 'state']);
  });

  test.each([
    ['1,000', 1_000, 1_000],
    ['more', 1_001, 1],
  ])('keeps the last thousand for who has missed %s', (_, missed, sent) => {
    const client = join();
    const { lastId } = client;
    client.cut();
    tell(missed);
    const { events } = join(lastId);
    expect(events).toHaveLength(sent);
    expect(events[0]).toBe(missed > 1_000 ? 'reset' : 'state');
  });

  test.each(['x', 'x-1', '', '-', '-1', '1', 'run-9', `${'9'.repeat(400)}-1`, '\u0000'])(
    'has %j ask for everything again',
    (lastId) => {
      join();
      tell();
      expect(join(lastId).events).toEqual(['reset']);
    },
  );

  test('has ask again who comes back with an id of the future', () => {
    const client = join();
    expect(join(client.lastId.replace(/-\d+$/, '-7')).events).toEqual(['reset']);
  });

  test('cuts off a client that leaves too much untaken', () => {
    const client = join();
    client.takes = false;
    tell(1_000, { reason: 'x'.repeat(400) });
    expect(client.isCut).toBe(true);
    expect(client.written.join('').length).toBeLessThan(70_000);
  });

  test('does not cut off a client because of what it has missed, as long as that is on its way', async () => {
    const first = join();
    const { lastId } = first;
    tell(1_000, { reason: 'x'.repeat(400) });
    class SlowClient extends FakeClient {
      left = 0;
      override get untakenBytes() {
        return this.left;
      }
      override write(text: string) {
        super.write(text);
        this.left += text.length;
      }
    }
    const slow = new SlowClient();
    stream.add(slow, { lastId, mayStay });
    expect(slow.events).toHaveLength(1_000);
    expect(slow.left).toBeGreaterThan(400_000);
    tell(10);
    slow.left -= 300_000;
    await clock.advance(BEAT_MS);
    tell(10);
    expect([slow.isCut, slow.events.length]).toEqual([false, 1_020]);
    slow.left = 0;
    tell(1_000, { reason: 'x'.repeat(400) });
    expect(slow.isCut).toBe(true);
    expect(slow.left).toBeLessThan(70_000);
  });

  test('cuts off a client that takes nothing between two signs of life, and no other', async () => {
    const [silent, awake] = [join(), join()];
    silent.takes = false;
    await clock.advance(BEAT_MS);
    expect([silent.isCut, awake.isCut]).toEqual([false, false]);
    await clock.advance(BEAT_MS);
    expect([silent.isCut, awake.isCut]).toEqual([true, false]);
    expect(awake.written.filter((text) => text === ':\n\n')).toHaveLength(2);
  });

  test('cuts off a client that may not read it any more', async () => {
    const client = join();
    isTrusted = false;
    await clock.advance(BEAT_MS - 1);
    expect(client.isCut).toBe(false);
    await clock.advance(1);
    await settle();
    expect([client.isCut, clock.pending]).toEqual([true, 1]);
  });

  test('has 64 clients at most, and cuts one of the address that has most', () => {
    const other = join(undefined, '10.0.0.9');
    const flood = Array.from({ length: 200 }, () => join());
    expect(other.isCut).toBe(false);
    expect(flood.filter(({ isCut }) => !isCut)).toHaveLength(63);
  });

  test('forgets all five minutes after the last one has left, and then tells nobody that he has missed nothing', async () => {
    const client = join();
    tell(3);
    client.cut();
    await clock.advance(299_999);
    expect(happenings.isHeard).toBe(true);
    await clock.advance(1);
    expect([happenings.isHeard, clock.pending]).toEqual([false, 0]);
    expect(join(client.lastId).events).toEqual(['reset']);
  });

  test('leaves no timer behind where a client is gone only after all was closed', () => {
    const client = join();
    let gone = () => {};
    client.cut = () => {};
    client.onClose = (callback) => {
      gone = callback;
    };
    stream.add(client, { lastId: undefined, mayStay });
    stream.close();
    gone();
    expect([happenings.isHeard, clock.pending]).toEqual([false, 0]);
    expect(join().isCut).toBe(true);
  });

  test('ends everything when it is closed', () => {
    const client = join();
    stream.close();
    expect([client.isCut, happenings.isHeard, clock.pending]).toEqual([true, false, 0]);
  });
});
