import { describe, expect, test } from 'vitest';
import { DatagramQueue, type QueueLimits } from '../../../src/relay/udp/datagram-queue.ts';
import { aUdpBudget } from '../../support/builders.ts';

const ALL = { maxCount: 100, maxBytes: 100_000 };

describe('DatagramQueue', () => {
  const create = (limits: Partial<QueueLimits> = {}) =>
    new DatagramQueue(
      { maxQueuedDatagrams: 4, maxQueuedBytes: 100, maxQueueAgeMs: 1_000, ...limits },
      aUdpBudget().openListener().queue,
    );
  const push = (queue: DatagramQueue, texts: readonly string[], nowMs = 0) =>
    texts.map((text) => queue.push(Buffer.from(text), nowMs));
  const take = (queue: DatagramQueue, nowMs = 0, limits = ALL) => {
    const { datagrams, expired } = queue.take(nowMs, limits);
    return { texts: datagrams.map(String), expired };
  };

  test('gives back what it was given, in order', () => {
    const queue = create();
    push(queue, ['a', 'b', 'c']);
    expect(queue.size).toBe(3);
    expect(take(queue)).toEqual({ texts: ['a', 'b', 'c'], expired: 0 });
    expect(queue.size).toBe(0);
  });

  test('keeps out the newest when there are too many', () => {
    const queue = create({ maxQueuedDatagrams: 2 });
    expect(push(queue, ['a', 'b', 'c'])).toEqual([undefined, undefined, 'queue-datagrams']);
    expect(take(queue).texts).toEqual(['a', 'b']);
  });

  test('keeps out what has too many bytes, and takes a smaller one after it', () => {
    const queue = create({ maxQueuedBytes: 5 });
    expect(push(queue, ['abc', 'def', 'gh'])).toEqual([undefined, 'queue-bytes', undefined]);
    expect(take(queue).texts).toEqual(['abc', 'gh']);
  });

  test('has room again for what was taken, shifted or cleared', () => {
    const queue = create({ maxQueuedDatagrams: 2, maxQueuedBytes: 2 });
    push(queue, ['a', 'b']);
    queue.shift();
    expect(push(queue, ['c', 'd'])).toEqual([undefined, 'queue-datagrams']);
    expect(take(queue).texts).toEqual(['b', 'c']);
    expect(push(queue, ['ef'])).toEqual([undefined]);
    expect(queue.clear()).toBe(1);
    expect(push(queue, ['gh'])).toEqual([undefined]);
  });

  test('counts empty datagrams, too', () => {
    const queue = create({ maxQueuedDatagrams: 1 });
    expect(push(queue, ['', ''])).toEqual([undefined, 'queue-datagrams']);
    expect(take(queue).texts).toEqual(['']);
  });

  test('leaves out what is too old, and says how many that were', () => {
    const queue = create({ maxQueueAgeMs: 1_000 });
    push(queue, ['a', 'b'], 0);
    push(queue, ['c'], 1);
    expect(take(queue, 1_001)).toEqual({ texts: ['c'], expired: 2 });
  });

  test('hands out no more than is asked for, and at least one', () => {
    const queue = create();
    push(queue, ['abc', 'def', 'g', 'h']);
    expect(take(queue, 0, { maxCount: 10, maxBytes: 1 }).texts).toEqual(['abc']);
    expect(take(queue, 0, { maxCount: 10, maxBytes: 4 }).texts).toEqual(['def', 'g']);
    push(queue, ['i']);
    expect(take(queue, 0, { maxCount: 1, maxBytes: 100 }).texts).toEqual(['h']);
    expect(take(queue).texts).toEqual(['i']);
  });

  test('shows the first without taking it', () => {
    const queue = create();
    expect(queue.peek()).toBeUndefined();
    expect(queue.shift()).toBeUndefined();
    push(queue, ['a']);
    expect(queue.peek()?.toString()).toBe('a');
    expect(queue.size).toBe(1);
  });
});
