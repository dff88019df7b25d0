import { describe, expect, test } from 'vitest';
import { FlowTable } from '../../../src/relay/udp/flow-table.ts';

const at = (address: string, port: number) => ({ address, port });

describe('FlowTable', () => {
  test('finds a flow by address and port together', () => {
    const table = new FlowTable<string>();
    table.set(at('10.0.0.1', 1), 'a');
    table.set(at('10.0.0.1', 2), 'b');
    table.set(at('10.0.0.2', 1), 'c');
    table.set(at('::1', 1), 'd');
    expect(table.get({ address: '10.0.0.1', port: 2 })).toBe('b');
    expect(table.get(at('10.0.0.2', 1))).toBe('c');
    expect(table.get(at('::1', 1))).toBe('d');
    expect(table.get(at('10.0.0.2', 2))).toBeUndefined();
  });

  test('forgets a flow that has gone', () => {
    const table = new FlowTable<string>();
    table.set(at('10.0.0.1', 1), 'a');
    table.set(at('10.0.0.1', 2), 'b');
    table.delete(at('10.0.0.1', 1));
    expect(table.get(at('10.0.0.1', 1))).toBeUndefined();
    expect(table.get(at('10.0.0.1', 2))).toBe('b');
  });

  test('tells the local addresses apart that one client asks', () => {
    const table = new FlowTable<string>();
    table.set({ ...at('10.0.0.1', 1), local: '1' }, 'a');
    table.set({ ...at('10.0.0.1', 1), local: '2' }, 'b');
    expect(table.get({ ...at('10.0.0.1', 1), local: '1' })).toBe('a');
    expect(table.get(at('10.0.0.1', 1))).toBeUndefined();
  });
});
