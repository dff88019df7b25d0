import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { AbortFan } from '../../../src/system/waiting/abort-fan.ts';

describe('AbortFan', () => {
  test('tells everybody once, by one listener', () => {
    const [fan, controller] = [new AbortFan(), new AbortController()];
    const told: string[] = [];
    for (const name of ['a', 'b', 'c']) fan.add(controller.signal, { onAborted: () => told.push(name) });
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1);
    controller.abort();
    controller.abort();
    expect(told).toEqual(['a', 'b', 'c']);
  });

  test('tells nobody who has left, and leaves no listener behind', () => {
    const [fan, controller] = [new AbortFan(), new AbortController()];
    const told: string[] = [];
    const [a, b] = [{ onAborted: () => told.push('a') }, { onAborted: () => told.push('b') }];
    for (const member of [a, b]) fan.add(controller.signal, member);
    fan.delete(controller.signal, a);
    fan.delete(controller.signal, a);
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1);
    fan.delete(controller.signal, b);
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
    fan.add(controller.signal, { onAborted: () => told.push('c') });
    controller.abort();
    expect(told).toEqual(['c']);
  });

  test('keeps signals apart, and lets those who are told leave', () => {
    const [fan, one, two] = [new AbortFan(), new AbortController(), new AbortController()];
    const told: string[] = [];
    const member = {
      onAborted() {
        told.push('one');
        fan.delete(one.signal, member);
      },
    };
    fan.add(one.signal, member);
    fan.add(two.signal, { onAborted: () => told.push('two') });
    one.abort();
    expect(told).toEqual(['one']);
  });
});
