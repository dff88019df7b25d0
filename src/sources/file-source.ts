/**
 * The file source. Input: a path. Output: the whole text of the file each time it has changed, newest wins.
 * It watches the folder, so that a file which is replaced, deleted and made again, or reached through a symlink that is
 * swapped (a Kubernetes ConfigMap) is noticed as well as one that is written in place. A burst of events is one reading,
 * and what is still being written is not told.
 */

import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, resolve, sep } from 'node:path';
import { type FSWatcher, watch } from 'chokidar';
import type { Clock } from '../system/clock.ts';
import { shortageOf } from '../system/descriptors.ts';
import { describeReadError, readConfigFile } from './read-config-file.ts';

/** How long the file must keep its size, time and inode before it counts as written, in ms. */
const QUIET_MS = 100;
/** The same for a file that is empty. Who writes one in place empties it first, and on a busy machine fills it only later. */
const EMPTY_QUIET_MS = 1_000;
/** If the machine had no descriptor left, the file is read again after this time, in ms. */
const SHORTAGE_RETRY_MS = 1_000;

/** What a file says at one moment; `text` is undefined where there is none, `error` says why it can't be read. */
export interface FileSnapshot {
  readonly path: string;
  readonly text: string | undefined;
  readonly error: string | undefined;
}

export class FileSource {
  readonly #path: string;
  readonly #named: boolean;
  readonly #clock: Clock;
  readonly #onChange: (snapshot: FileSnapshot) => void;
  readonly #closed = new AbortController();
  #watcher: FSWatcher | undefined;
  #last: FileSnapshot;
  #started = false;
  #reading: Promise<void> | undefined;
  #again = false;

  constructor(options: {
    readonly path: string;
    /** Whether the user named it: see `readConfigFile`. */
    readonly named: boolean;
    readonly clock: Clock;
    /** Called with each change after `start()`, but not if the content is the same. */
    readonly onChange: (snapshot: FileSnapshot) => void;
  }) {
    this.#path = resolve(options.path);
    this.#named = options.named;
    this.#clock = options.clock;
    this.#onChange = options.onChange;
    this.#last = { path: this.#path, text: undefined, error: undefined };
  }

  /** Begins to watch, then reads the file once; later changes are passed to `onChange`. */
  async start(): Promise<FileSnapshot> {
    const root = nearestFolder(dirname(this.#path));
    const watcher = watch(root, { ignoreInitial: true, ignored: (path) => !this.#concerns(path) });
    this.#watcher = watcher;
    watcher.on('all', () => this.#stir());
    // For events that chokidar merges or skips, such as the swap of a link.
    watcher.on('raw', (_event, name) => this.#isOwnName(basename(name ?? '')) && this.#stir());
    // A folder that can't be watched (the limit on inotify watches) is still read at SIGHUP.
    watcher.on('error', () => {});
    await new Promise<void>((done) => watcher.once('ready', done));
    const first = await this.#read();
    // Never at the start, where a shortage is an error like any other.
    if (first !== 'shortage') this.#last = first;
    this.#started = true;
    if (this.#again) this.#stir();
    return this.#last;
  }

  /** Reads the file again now, and passes a change on as usual; resolves when that is done. */
  async reload(): Promise<void> {
    this.#stir();
    await this.#reading;
  }

  /** Stops watching. Idempotent. */
  async close(): Promise<void> {
    this.#closed.abort();
    await this.#watcher?.close();
  }

  /** The file, the folders that lead to it, and the links through which a ConfigMap swaps it (`..data`). */
  #concerns(path: string): boolean {
    if (`${this.#path}${sep}`.startsWith(path.endsWith(sep) ? path : `${path}${sep}`)) return true;
    return dirname(path) === dirname(this.#path) && this.#isOwnName(basename(path));
  }

  #isOwnName(name: string): boolean {
    return name === basename(this.#path) || name.startsWith('..');
  }

  #stir(): void {
    this.#again = true;
    if (!this.#started || this.#reading !== undefined || this.#closed.signal.aborted) return;
    this.#reading = this.#readUntilQuiet().finally(() => {
      this.#reading = undefined;
    });
  }

  async #readUntilQuiet(): Promise<void> {
    while (this.#again && !this.#closed.signal.aborted) {
      this.#again = false;
      const snapshot = await this.#readWhenStill();
      // Closed meanwhile, perhaps in the middle of a reading.
      if (snapshot === undefined || this.#closed.signal.aborted) return;
      if (snapshot.text === this.#last.text && snapshot.error === this.#last.error) continue;
      this.#last = snapshot;
      this.#onChange(snapshot);
    }
  }

  /** Undefined where the source was closed meanwhile. */
  async #readWhenStill(): Promise<FileSnapshot | undefined> {
    let waitMs = QUIET_MS;
    for (let before = await this.#fingerprint(); ; ) {
      const interrupted = await this.#clock.sleep(waitMs, this.#closed.signal).then(
        () => false,
        () => true,
      );
      if (interrupted) return undefined;
      const snapshot = await this.#read();
      const waitedMs = waitMs;
      if (snapshot === 'shortage') {
        waitMs = SHORTAGE_RETRY_MS;
        continue;
      }
      waitMs = snapshot.text === '' ? EMPTY_QUIET_MS : QUIET_MS;
      const after = await this.#fingerprint();
      if (after === before && waitedMs >= waitMs) return snapshot;
      before = after;
    }
  }

  async #fingerprint(): Promise<string> {
    const info = await stat(this.#path, { bigint: true }).catch(() => undefined);
    return info === undefined ? 'none' : `${info.ino} ${info.size} ${info.mtimeNs}`;
  }

  /** `shortage`: the machine had no descriptor or memory for it, which says nothing about the file. */
  async #read(): Promise<FileSnapshot | 'shortage'> {
    try {
      const text = await readConfigFile(this.#path, { named: this.#named, clock: this.#clock });
      return { path: this.#path, text, error: undefined };
    } catch (error) {
      if (this.#started && shortageOf(error) !== undefined) return 'shortage';
      const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
      return {
        path: this.#path,
        text: undefined,
        error: missing ? undefined : describeReadError(error),
      };
    }
  }
}

/** The folder, or the nearest one above it that exists. */
function nearestFolder(folder: string): string {
  return existsSync(folder) || dirname(folder) === folder ? folder : nearestFolder(dirname(folder));
}
