import type { TarEntry } from './tar.mjs';

/** Where it has to lie. */
export declare const BUSYBOX: string;
/** False also where busybox needs libraries. */
export declare function hasStaticBusybox(): Promise<boolean>;
/** A shell and the usual small programs (`sh`, `httpd`, `nc`, `sleep` …). */
export declare function listBusyboxEntries(): Promise<TarEntry[]>;
/** This machine's `node`, beside busybox where that is at hand. */
export declare function listNodeEntries(): Promise<TarEntry[]>;
/** A root file system with one of this machine's programs at `path`, and nothing else. */
export declare function listBareEntries(path: string, program: string): Promise<TarEntry[]>;
/** A program at `path`, and the libraries it is linked with. */
export declare function listProgramEntries(path: string, program: string): Promise<TarEntry[]>;
