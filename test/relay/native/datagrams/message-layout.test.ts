import { describe, expect, test } from 'vitest';
import { loadKoffi } from '../../../../src/relay/native/load-koffi.ts';
import { layoutFor, putPointer } from '../../../../src/relay/native/datagrams/message-layout.ts';

const koffi = (await loadKoffi()).kind === 'loaded' ? (await import('koffi')).default : undefined;

/** The members that count, with pointers and sizes as integers of that size. */
function declareStructs(lib: NonNullable<typeof koffi>, word: 'uint32_t' | 'uint64_t') {
  const iovec = lib.struct({ base: word, length: word });
  const header = lib.struct({
    ...{ name: word, nameLength: 'uint32_t', iovec: word, iovecCount: word },
    ...{ control: word, controlLength: word, flags: 'int' },
  });
  const control = lib.struct({ length: word, level: 'int', type: 'int', data: 'uint32_t' });
  return { iovec, header, control, message: lib.struct({ header, length: 'unsigned int' }) };
}

describe.runIf(koffi)('the layout of messages', () => {
  test.each([
    { bytes: 8, word: 'uint64_t' },
    { bytes: 4, word: 'uint32_t' },
  ] as const)('is that of C where pointers have $bytes bytes', ({ bytes, word }) => {
    if (koffi === undefined) return;
    const { iovec, header, control, message } = declareStructs(koffi, word);
    const at = (member: string) => koffi.offsetof(header, member) / 4;
    expect(layoutFor(bytes)).toEqual({
      pointerWords: bytes / 4,
      iovec: { words: koffi.sizeof(iovec) / 4, base: 0, length: koffi.offsetof(iovec, 'length') / 4 },
      message: {
        words: koffi.sizeof(message) / 4,
        ...{ name: at('name'), nameLength: at('nameLength') },
        ...{ iovec: at('iovec'), iovecCount: at('iovecCount') },
        ...{ control: at('control'), controlLength: at('controlLength') },
        length: koffi.offsetof(message, 'length') / 4,
      },
      control: {
        words: koffi.offsetof(control, 'data') / 4,
        level: koffi.offsetof(control, 'level') / 4,
        type: koffi.offsetof(control, 'type') / 4,
      },
    });
  });
});

describe('putPointer', () => {
  test('writes the low word first, and the high one where there is one', () => {
    const words = new Uint32Array(4);
    putPointer(words, { at: 0, address: 0x7fab_1234_5678n, layout: layoutFor(8) });
    putPointer(words, { at: 2, address: 0xf234_5678n, layout: layoutFor(4) });
    expect([...words]).toEqual([0x1234_5678, 0x7fab, 0xf234_5678, 0]);
  });

  test('knows no other size', () => {
    expect(() => layoutFor(2)).toThrow('pointers of 2 bytes');
  });
});
