import { describe, expect, it } from 'vitest';
import { FlowTable } from '../../src/relay/flow-table.ts';

const at = (address: string, port: number) => ({ address, port });

describe('FlowTable', () => {
  it('finds a flow by address and port together', () => {
    const table = new FlowTable<string>(9);
    table.set(at('10.0.0.1', 1), 'a');
    table.set(at('10.0.0.1', 2), 'b');
    table.set(at('10.0.0.2', 1), 'c');
    table.set(at('::1', 1), 'd');
    expect(table.get({ address: '10.0.0.1', port: 2 })).toBe('b');
    expect(table.get(at('10.0.0.2', 1))).toBe('c');
    expect(table.get(at('::1', 1))).toBe('d');
    expect(table.get(at('10.0.0.2', 2))).toBeUndefined();
    expect(table.all()).toEqual(['a', 'b', 'c', 'd']);
  });

  it('is full at its limit, and not when a flow has gone', () => {
    const table = new FlowTable<string>(2);
    table.set(at('10.0.0.1', 1), 'a');
    expect(table.isFull).toBe(false);
    table.set(at('10.0.0.1', 2), 'b');
    expect(table.isFull).toBe(true);
    table.delete(at('10.0.0.1', 1));
    expect(table.isFull).toBe(false);
    expect(table.size).toBe(1);
    expect(table.get(at('10.0.0.1', 1))).toBeUndefined();
  });
});
