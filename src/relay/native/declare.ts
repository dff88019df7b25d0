import type { Koffi } from './load-koffi.ts';

/** A C function: returns its result, or the negative `errno` where it fails. */
export type NativeCall = (...args: readonly unknown[]) => number;

/** Makes functions of the C library callable by their C declarations. @throws where one doesn't exist. */
export function createDeclare(koffi: Koffi): (declaration: string) => NativeCall {
  const library = koffi.load(null);
  return (declaration) => {
    const call = library.func(declaration);
    return (...args) => {
      const result = call(...args) as number;
      return result < 0 ? -koffi.errno() : result;
    };
  };
}
