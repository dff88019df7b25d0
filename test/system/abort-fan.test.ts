import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { AbortFan } from '../../src/system/abort-fan.ts';

describe('AbortFan', () => {
  it('tells everybody once, by one listener', () => {
    const [fan, controller] = [new AbortFan(), new AbortController()];
    const told: string[] = [];
    for (const name of ['a', 'b', 'c']) fan.add(controller.signal, () => told.push(name));
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1);
    controller.abort();
    controller.abort();
    expect(told).toEqual(['a', 'b', 'c']);
  });

  it('tells nobody who has left, and leaves no listener behind', () => {
    const [fan, controller] = [new AbortFan(), new AbortController()];
    const told: string[] = [];
    const leave = ['a', 'b'].map((name) => fan.add(controller.signal, () => told.push(name)));
    leave[0]?.();
    leave[0]?.();
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1);
    leave[1]?.();
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
    fan.add(controller.signal, () => told.push('c'));
    controller.abort();
    expect(told).toEqual(['c']);
  });

  it('keeps signals apart, and lets those who are told leave', () => {
    const [fan, one, two] = [new AbortFan(), new AbortController(), new AbortController()];
    const told: string[] = [];
    const leave = fan.add(one.signal, () => {
      told.push('one');
      leave();
    });
    fan.add(two.signal, () => told.push('two'));
    one.abort();
    expect(told).toEqual(['one']);
  });
});
