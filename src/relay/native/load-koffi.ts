import { messageOf } from '../../system/message-of.ts';

/** The part of the foreign-function interface that is used. Its types come with the package, which is optional. */
export type Koffi = Pick<typeof import('koffi'), 'load' | 'errno' | 'address' | 'sizeof' | LoopParts>;

/** For functions that C calls. */
type LoopParts = 'proto' | 'pointer' | 'register';

export type KoffiLoad =
  | { readonly kind: 'loaded'; readonly koffi: Koffi }
  | { readonly kind: 'unavailable'; readonly reason: string };

/** Loads the foreign-function interface, or says why this machine can't have it. */
export async function loadKoffi(platform: NodeJS.Platform = process.platform): Promise<KoffiLoad> {
  if (platform !== 'linux')
    return { kind: 'unavailable', reason: `splice(2) is Linux only, this is ${platform}` };
  try {
    const module = await import('koffi');
    return { kind: 'loaded', koffi: module.default ?? module };
  } catch (error) {
    return {
      kind: 'unavailable',
      reason: `the optional package koffi can't be loaded (${messageOf(error)})`,
    };
  }
}

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
