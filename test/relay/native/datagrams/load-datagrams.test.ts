import { describe, expect, test } from 'vitest';
import { loadDatagrams } from '../../../../src/relay/native/datagrams/load-datagrams.ts';
import { type Koffi, type KoffiLoad, loadKoffi } from '../../../../src/relay/native/load-koffi.ts';

const loaded = await loadKoffi();

describe('loadDatagrams', () => {
  test.runIf(loaded.kind === 'loaded')('finds what this machine has in order', async () => {
    expect(await loadDatagrams()).toMatchObject({ kind: 'loaded' });
  });

  test('says why there is nothing to call with', async () => {
    const reason = 'no koffi here';
    const load = async (): Promise<KoffiLoad> => ({ kind: 'unavailable', reason });
    expect(await loadDatagrams(load)).toEqual({ kind: 'unavailable', reason });
  });

  test.each([
    { what: 'nothing comes', result: 0, reason: 'sending ended with 0' },
    { what: 'everything is claimed to be sent', result: 1, reason: 'other datagrams came' },
  ])('trusts no library with which $what', async ({ result, reason }) => {
    const koffi = {
      load: () => ({ func: () => () => result }),
      errno: () => 0,
      address: () => 4096n,
      sizeof: () => 8,
      ...{ proto: () => ({}), pointer: () => ({}), register: () => ({}) },
    } as unknown as Koffi;
    const load = async (): Promise<KoffiLoad> => ({ kind: 'loaded', koffi });
    expect(await loadDatagrams(load)).toMatchObject({ reason: expect.stringContaining(reason) });
  });

  test('trusts no library that lacks a function', async () => {
    const koffi = {
      load: () => ({
        func(declaration: string) {
          throw new Error(`${declaration} is unknown`);
        },
      }),
    } as unknown as Koffi;
    const load = async (): Promise<KoffiLoad> => ({ kind: 'loaded', koffi });
    expect(await loadDatagrams(load)).toMatchObject({ reason: expect.stringContaining('recvmmsg') });
  });
});
