import { access, chmod, constants, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '../clock.ts';
import type { Logger } from '../log/logger.ts';
import { messageOf } from '../message-of.ts';
import { type LockAttempt, lockFolder } from './folder-lock.ts';

const EVENT = { event: 'state-dir' };
const OWNER_ONLY = 0o600;
const OTHERS = 0o077;

interface Opened {
  /** Undefined: nothing can be read there either. */
  readonly folder: string | undefined;
  readonly lack: string | undefined;
  readonly lock?: LockAttempt;
}

/**
 * The folder of what the proxy keeps across restarts, `state_dir`. While it is open no other proxy of this machine uses it. Its files
 * are small, for the proxy's user alone, and always whole: what was written last, or what was there before.
 */
export class StateFolder {
  /** Why nothing can be kept, in words that name the folder; undefined where it can. */
  readonly lack: string | undefined;
  readonly #folder: string | undefined;
  readonly #lock: LockAttempt | undefined;

  private constructor({ folder, lack, lock }: Opened) {
    this.#folder = folder;
    this.lack = lack;
    this.#lock = lock;
  }

  /**
   * Opens and locks the folder, and makes it where it is missing. Never rejects: see `lack`. The caller closes it.
   * @param dir an absolute path, or `off`.
   * @param options.isNamed whether somebody asked for this folder, who has to be told where it can't be used.
   */
  static async open(
    dir: string,
    options: { readonly isNamed: boolean; readonly clock: Clock; readonly logger: Logger },
  ): Promise<StateFolder> {
    if (dir === 'off') return new StateFolder({ folder: undefined, lack: 'state_dir is off' });
    const { isNamed, clock, logger } = options;
    try {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      await access(dir, constants.W_OK | constants.X_OK);
    } catch (error) {
      const lack = `state_dir ${dir} can't be written (${messageOf(error)})`;
      if (isNamed) logger.warn(EVENT, `${lack}: nothing is kept across restarts`);
      return new StateFolder({ folder: dir, lack });
    }
    const lock = await lockFolder(dir, clock);
    if (lock.kind === 'taken') {
      const lack = `state_dir ${dir} is in use by another proxy`;
      const message = `${lack}: this one keeps nothing across restarts; give it a folder of its own, or write state_dir: off`;
      logger[isNamed ? 'warn' : 'info'](EVENT, message);
      return new StateFolder({ folder: undefined, lack });
    }
    if (lock.kind === 'impossible') {
      const message = `state_dir ${dir} can't be locked (${messageOf(lock.error)}): see to it that no other proxy uses it`;
      logger.warn(EVENT, message);
    }
    return new StateFolder({ folder: dir, lack: undefined, lock });
  }

  /**
   * What a file holds; undefined where there is none, or the folder is not ours.
   * @throws where it can't be read, or is larger than `maxBytes`.
   */
  async read(name: string, { maxBytes }: { readonly maxBytes: number }): Promise<Buffer | undefined> {
    return this.#folder === undefined
      ? undefined
      : readStateFile(path.join(this.#folder, name), { maxBytes });
  }

  /**
   * Replaces a file, which is on the disk when this resolves; not to be called again for the same file before.
   * @throws where that can't be done; the file is as before then.
   */
  async write(name: string, data: string | Uint8Array): Promise<void> {
    if (this.#folder === undefined || this.lack !== undefined) throw new Error(this.lack);
    const file = path.join(this.#folder, name);
    const newFile = `${file}.new`;
    try {
      // A proxy that was killed may have left one behind.
      await rm(newFile, { force: true });
      const handle = await open(newFile, 'wx', OWNER_ONLY);
      try {
        await handle.writeFile(data);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(newFile, file);
    } catch (error) {
      await rm(newFile, { force: true }).catch(() => {});
      throw error;
    }
    await syncFolder(this.#folder);
  }

  /** Gives a file that can't be used another name, and returns it; an older one of that name is replaced. @throws where it can't. */
  async setAside(name: string): Promise<string> {
    if (this.#folder === undefined) throw new Error(this.lack);
    const file = path.join(this.#folder, name);
    const aside = `${file}.broken`;
    await rename(file, aside);
    return aside;
  }

  /** Takes away what others may do with a file, as after a backup was put back. Whether they could do anything; never rejects. */
  async closeToOthers(name: string): Promise<boolean> {
    if (this.#folder === undefined) return false;
    const file = path.join(this.#folder, name);
    try {
      const { mode } = await stat(file);
      if ((mode & OTHERS) === 0) return false;
      await chmod(file, OWNER_ONLY);
    } catch {
      // Where nothing can be changed, somebody else looks after it.
    }
    return true;
  }

  /** Unlocks it. Idempotent. */
  async close(): Promise<void> {
    if (this.#lock?.kind === 'locked') await this.#lock.release();
  }
}

/**
 * What a file of such a folder holds; undefined where there is none.
 * @throws where it can't be read, is no file, or is larger than `maxBytes`.
 */
export async function readStateFile(
  file: string,
  { maxBytes }: { readonly maxBytes: number },
): Promise<Buffer | undefined> {
  try {
    const found = await stat(file);
    if (!found.isFile()) throw new Error(`${file} is not a file`);
    if (found.size > maxBytes) throw new Error(`${file} has ${found.size} bytes, more than ${maxBytes}`);
    return await readFile(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** A rename is in the folder, which has to get to the disk as well. Not every file system can do that. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, constants.O_RDONLY);
    await handle.sync().finally(() => handle.close());
  } catch {
    // What is in the file is safe.
  }
}
