import type { TarEntry } from './tar.mjs';

/** An image of a root file system; the engine may have it already, since its name tells what is in it. */
export declare function importOnce(
  host: string,
  options: {
    readonly name: string;
    readonly listEntries: () => Promise<TarEntry[]>;
    /** Dockerfile instructions, on top of a search path. */
    readonly changes?: readonly string[];
  },
): Promise<string>;

/** True when the engine has an image of this name. */
export declare function hasImage(host: string, name: string): Promise<boolean>;
