import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EAGAIN, ECONNRESET, EINTR, EPIPE } from '../../../../src/relay/native/errno.ts';
import { fail, Pump, type PumpResult, type Side } from '../../../../src/relay/splice/thread/pump.ts';
import { pattern } from '../../../support/sockets.ts';
import { ScriptedKernel } from '../scripted-kernel.ts';

const BUFFER_BYTES = 64;

function createPump(kernel: ScriptedKernel, first?: Uint8Array) {
  const whole = { readable: true, writable: true, finished: false, urgent: false, failed: false };
  const source: Side = { fd: kernel.source, ...whole };
  const target: Side = { fd: kernel.target, ...whole };
  const parts = {
    kernel,
    pipes: kernel,
    buffer: new Uint8Array(BUFFER_BYTES),
    bytesPerTurn: 4 * BUFFER_BYTES,
  };
  return { pump: new Pump(parts, { source, target, first }), source, target };
}

/** Runs until the pump waits for nothing that is still to come, with an event for whatever it waits for. */
function runToEnd({ pump, source, target }: ReturnType<typeof createPump>): PumpResult {
  for (let turn = 0; turn < 10_000; turn++) {
    const result = pump.run();
    if (result === 'ended' || result === 'broken') return result;
    source.readable = target.writable = true;
  }
  return 'waiting';
}

describe('Pump', () => {
  test.each([0, 1, BUFFER_BYTES, 10 * BUFFER_BYTES])('passes %i bytes on, and then the end', (length) => {
    const kernel = new ScriptedKernel({ input: pattern(length) });
    const parts = createPump(kernel);
    expect(runToEnd(parts)).toBe('ended');
    expect(kernel.output).toEqual(new Uint8Array(pattern(length)));
    expect(kernel.log.filter((call) => call === 'shutdown')).toHaveLength(1);
    expect(parts.pump.moved).toBe(length);
    expect(kernel.lent).toBe(0);
  });

  test('loses and doubles nothing whatever the kernel answers', () => {
    const answer = fc.oneof(
      fc.constant('EAGAIN' as const),
      fc.constant('EINTR' as const),
      fc.integer({ min: 1, max: 2 * BUFFER_BYTES }),
    );
    fc.assert(
      fc.property(
        fc.record({
          length: fc.integer({ min: 0, max: 20 * BUFFER_BYTES }),
          first: fc.integer({ min: 0, max: 3 * BUFFER_BYTES }),
          answers: fc.array(answer, { maxLength: 200 }),
          pipes: fc.integer({ min: 0, max: 1 }),
        }),
        ({ length, first, answers, pipes }) => {
          const all = new Uint8Array(pattern(first + length));
          const kernel = new ScriptedKernel({ input: all.subarray(first), answers, pipes });
          const parts = createPump(kernel, first === 0 ? undefined : all.subarray(0, first));
          expect(runToEnd(parts)).toBe('ended');
          expect(kernel.output).toEqual(all);
          expect(kernel.lent).toBe(0);
        },
      ),
    );
  });

  test('passes everything on that was there before the source failed, and no end of its own', () => {
    // Never EAGAIN: the kernel says so only of a source that is whole.
    const answer = fc.oneof(fc.constant('EINTR' as const), fc.integer({ min: 1, max: 2 * BUFFER_BYTES }));
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 20 * BUFFER_BYTES }),
        fc.array(answer, { maxLength: 100 }),
        fc.constantFrom(ECONNRESET, 0),
        (length, answers, errno) => {
          const kernel = new ScriptedKernel({ input: pattern(length), answers, errorAtEnd: errno });
          const parts = createPump(kernel);
          fail(parts.source);
          expect(runToEnd(parts)).toBe('broken');
          expect(kernel.output).toEqual(new Uint8Array(pattern(length)));
          expect(kernel.log).not.toContain('shutdown');
          expect(kernel.lent).toBe(0);
        },
      ),
    );
  });

  test('goes by splice once a read fills the buffer, and by copies again when little comes', () => {
    const kernel = new ScriptedKernel({ input: pattern(3 * BUFFER_BYTES) });
    runToEnd(createPump(kernel));
    expect(kernel.log.slice(0, 4)).toEqual(['recv', 'send', 'fill', 'empty']);
  });

  test('reads nothing that it can not pass on', () => {
    const kernel = new ScriptedKernel({ input: pattern(100) });
    const parts = createPump(kernel);
    parts.target.writable = false;
    expect(parts.pump.run()).toBe('waiting');
    expect(kernel.log).toEqual([]);
  });

  test('keeps what a full target left of a copy, and asks again only after an event', () => {
    const kernel = new ScriptedKernel({ input: pattern(10), answers: [10, 4, 'EAGAIN'] });
    const parts = createPump(kernel);
    expect(parts.pump.run()).toBe('waiting');
    expect(kernel.output).toHaveLength(4);
    const calls = kernel.log.length;
    expect(parts.pump.run()).toBe('waiting');
    expect(kernel.log).toHaveLength(calls);
    expect(runToEnd(parts)).toBe('ended');
    expect(kernel.output).toEqual(new Uint8Array(pattern(10)));
  });

  test('keeps the pipe while it holds something, and gives it back after that', () => {
    const answers = [BUFFER_BYTES, BUFFER_BYTES, BUFFER_BYTES, 'EAGAIN'] as const;
    const kernel = new ScriptedKernel({ input: pattern(2 * BUFFER_BYTES), answers });
    const parts = createPump(kernel);
    expect(parts.pump.run()).toBe('waiting');
    expect(kernel.lent).toBe(1);
    expect(runToEnd(parts)).toBe('ended');
    expect(kernel.lent).toBe(0);
  });

  test('stops after its share of a turn', () => {
    const kernel = new ScriptedKernel({ input: pattern(100 * BUFFER_BYTES) });
    expect(createPump(kernel).pump.run()).toBe('more');
    expect(kernel.output.length).toBeLessThan(8 * BUFFER_BYTES);
  });

  test('goes on reading after the end was told, because no event comes any more', () => {
    const kernel = new ScriptedKernel({ input: pattern(10), answers: [5] });
    const parts = createPump(kernel);
    parts.source.finished = true;
    expect(parts.pump.run()).toBe('ended');
    expect(kernel.output).toHaveLength(10);
  });

  test('copies what a source with urgent data brings, and goes on reading after a short read', () => {
    const length = 3 * BUFFER_BYTES;
    const kernel = new ScriptedKernel({ input: pattern(length), answers: [BUFFER_BYTES, BUFFER_BYTES, 5] });
    const parts = createPump(kernel);
    parts.source.urgent = true;
    expect(parts.pump.run()).toBe('ended');
    expect(kernel.output).toHaveLength(length);
    expect(kernel.log).not.toContain('fill');
  });

  test.each([
    ['a read', [-ECONNRESET]],
    ['a write', [5, -EPIPE]],
    ['a splice out of the source', [BUFFER_BYTES, BUFFER_BYTES, -ECONNRESET]],
    ['a splice into the target', [BUFFER_BYTES, BUFFER_BYTES, BUFFER_BYTES, -EPIPE]],
  ])('is broken when %s fails', (_name, answers) => {
    const kernel = new ScriptedKernel({ input: pattern(10 * BUFFER_BYTES), answers });
    const { pump } = createPump(kernel);
    expect(pump.run()).toBe('broken');
    pump.close();
    expect(kernel.lent).toBe(0);
  });

  test('discards a pipe that still holds something when it is closed', () => {
    const answers = [BUFFER_BYTES, BUFFER_BYTES, BUFFER_BYTES, 'EAGAIN'] as const;
    const kernel = new ScriptedKernel({ input: pattern(10 * BUFFER_BYTES), answers });
    const { pump } = createPump(kernel);
    pump.run();
    pump.close();
    expect(kernel.discarded).toBe(1);
  });

  test('knows its errors by their numbers', () => {
    expect([EAGAIN, EINTR, EPIPE, ECONNRESET]).toEqual([11, 4, 32, 104]);
  });
});
