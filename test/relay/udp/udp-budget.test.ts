import { describe, expect, test } from 'vitest';
import { FlowLimit, type RoomMaker, UdpBudget } from '../../../src/relay/udp/udp-budget.ts';

describe('UdpBudget', () => {
  const MIB = 1_048_576;
  test('gives each listener a quarter, and all together the whole', () => {
    const budget = new UdpBudget({ maxQueuedBytes: 4 * MIB, descriptors: undefined });
    const queues = Array.from({ length: 5 }, () => budget.openListener().queue);
    expect(queues.slice(0, 4).map((queue) => queue.take(MIB))).toEqual(Array(4).fill(undefined));
    expect(queues[0]?.take(1)).toBe('queue-listener');
    expect(queues[4]?.take(1)).toBe('queue-total');
    queues[0]?.give(10);
    expect(queues[4]?.take(10)).toBeUndefined();
    expect(budget.queuedBytes).toBe(4 * MIB);
  });

  test('bounds the flows of all listeners by the descriptors that there are', () => {
    const budget = new UdpBudget({ maxQueuedBytes: MIB, descriptors: 8 });
    const limits = [budget.openListener(), budget.openListener()].map((part) => part.limits);
    const enter = (index: number) => {
      if (limits[index]?.every((limit) => limit.makeRoom(0)) !== true) return false;
      for (const limit of limits[index] ?? []) limit.enter(aFlow());
      return true;
    };
    expect([0, 1, 0, 1, 0, 1].map(enter)).toEqual([true, true, true, true, false, false]);
  });
});

describe('FlowLimit', () => {
  test('ends the flow that was used the longest time ago', () => {
    const { limit, flows, ended } = limitOf(3);
    for (const flow of [0, 1, 2, 0]) flows[flow]?.touch();
    expect(limit.makeRoom(10_000)).toBe(true);
    expect(ended).toEqual([1]);
  });

  test('ends none that was used within the last second', () => {
    const { limit, flows, ended } = limitOf(2);
    for (const flow of flows) flow.touch(9_001);
    expect(limit.makeRoom(10_000)).toBe(false);
    expect(limit.makeRoom(10_001)).toBe(true);
    expect(ended).toEqual([0]);
  });

  test('ends none that waits for its workload, nor one that keeps something', () => {
    const { limit, flows, ended } = limitOf(3);
    flows[1]?.touch();
    flows[2]?.touch();
    if (flows[1] !== undefined) flows[1].isIdle = false;
    expect(limit.makeRoom(10_000)).toBe(true);
    expect(ended).toEqual([2]);
  });

  test('has no room where all flows wait', () => {
    expect(limitOf(2).limit.makeRoom(10_000)).toBe(false);
  });

  test('forgets those that have ended by themselves', () => {
    const { limit, flows, ended } = limitOf(2);
    for (const flow of flows) flow.touch();
    flows[0]?.end();
    expect(limit.makeRoom(10_000)).toBe(true);
    expect(ended).toEqual([0]);
  });

  test('knows those that are used when one that never was has ended', () => {
    const { limit, flows, ended } = limitOf(3);
    flows[0]?.touch();
    flows[1]?.end();
    expect(limit.endOldest(10_000)).toBe(true);
    expect(ended).toEqual([1, 0]);
  });

  function limitOf(max: number) {
    const limit = new FlowLimit(max);
    const ended: number[] = [];
    const flows = Array.from({ length: max }, (_, index) => {
      const flow = {
        ...{ isIdle: true, lastActiveMs: 0 },
        touch(atMs = 0) {
          flow.lastActiveMs = atMs;
          seat.touch();
        },
        end() {
          ended.push(index);
          seat.leave();
        },
      };
      const seat = limit.enter(flow);
      return flow;
    });
    return { limit, flows, ended };
  }
});

function aFlow(): RoomMaker {
  return { isIdle: false, lastActiveMs: 0, end() {} };
}
