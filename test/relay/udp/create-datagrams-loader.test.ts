import { describe, expect, test } from 'vitest';
import { createDatagramsLoader } from '../../../src/relay/udp/create-datagrams-loader.ts';
import type { DatagramsLoad } from '../../../src/relay/native/datagrams/load-datagrams.ts';
import type { NativeDatagrams } from '../../../src/relay/native/datagrams/native-datagrams.ts';
import { silentLogger } from '../../../src/system/log/logger.ts';

describe('createDatagramsLoader', () => {
  const datagrams = {} as NativeDatagrams;
  const create = (setting: 'auto' | 'stream' | 'splice', result: DatagramsLoad) => {
    const lines: string[] = [];
    let loads = 0;
    const load = createDatagramsLoader(setting, {
      logger: { ...silentLogger, info: (_fields, message) => void lines.push(message) },
      load: async () => {
        loads++;
        return result;
      },
    });
    return { load, lines, loads: () => loads };
  };

  test.each(['auto', 'splice'] as const)(
    'loads once for all with %s, and not before it is asked',
    async (setting) => {
      const { load, loads, lines } = create(setting, { kind: 'loaded', datagrams });
      expect(loads()).toBe(0);
      expect(await Promise.all([load(), load()])).toEqual([datagrams, datagrams]);
      expect(loads()).toBe(1);
      expect(lines).toEqual([]);
    },
  );

  test('loads nothing with stream', async () => {
    const { load, loads } = create('stream', { kind: 'loaded', datagrams });
    expect(await load()).toBeUndefined();
    expect(loads()).toBe(0);
  });

  test('says once why it has nothing', async () => {
    const { load, lines } = create('auto', { kind: 'unavailable', reason: 'no koffi' });
    expect(await load()).toBeUndefined();
    expect(await load()).toBeUndefined();
    expect(lines).toEqual([
      'UDP datagrams are relayed one by one instead of in batches, which takes more processor time: no koffi',
    ]);
  });
});
