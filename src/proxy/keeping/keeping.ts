import type { KeptHold, KeptWorkload } from '../../model/running/kept.ts';
import type { Cancel, Clock } from '../../system/clock.ts';
import type { Logger } from '../../system/log/logger.ts';
import { messageOf } from '../../system/message-of.ts';
import type { StateFolder } from '../../system/state/state-folder.ts';
import { type Kept, MAX_KEPT_CHARACTERS, readKept, writeKept } from './kept-file.ts';

const FILE = 'state.json';
const EVENT = { event: 'state' };
/** What has just happened is written together with what follows from it. */
const GATHER_MS = 1_000;
const MIN_INTERVAL_MS = 10_000;
/** A disk that hangs must not keep the program from ending. */
const LAST_WRITE_MS = 2_000;
/** Writing takes at most this part of the time: many services are written less often. */
const MAX_SHARE = 1 / 200;

/** What is to be kept, as it is now. */
export interface KeptSource {
  workloads(): Iterable<readonly [key: string, kept: KeptWorkload]>;
  holds(): readonly KeptHold[];
}

interface Parts {
  readonly folder: StateFolder;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * What the proxy remembers across restarts: when services were used, their wakes and history, and holds by hand. It is written after
 * something has happened, at most every 10 s, and at the end; at rest there is no timer. Where nothing can be kept it does nothing. What belongs
 * to services that are not there yet waits for them.
 */
export class Keeping {
  readonly #parts: Parts;
  /** What of the file no service has asked for. */
  readonly #workloads: Map<string, KeptWorkload>;
  readonly #holds: Map<string, KeptHold>;
  #source: KeptSource | undefined;
  /** Those at the time when the proxy began to end. */
  #lastHolds: readonly KeptHold[] | undefined;
  #timer: Cancel | undefined;
  #nextMs = Number.NEGATIVE_INFINITY;
  #writing: Promise<void> | undefined;
  /** Something has changed while it was written. */
  #isTouched = false;
  #isFailing = false;
  #isClosed = false;

  private constructor(parts: Parts, kept: Kept | undefined) {
    this.#parts = parts;
    this.#workloads = new Map(kept?.workloads);
    this.#holds = new Map(kept?.holds.map((hold) => [hold.service, hold]));
  }

  /** Reads what was kept before. Never rejects: a file that can't be used is set aside, and the log says why. */
  static async load(parts: Parts): Promise<Keeping> {
    return new Keeping(parts, await loadKept(parts));
  }

  /** Takes where it finds what is to be kept from now on. */
  follow(source: KeptSource): void {
    this.#source = source;
  }

  /** What is known of a workload from before, given out once; undefined where it had no service of this name. */
  recall(key: string, service: string): KeptWorkload | undefined {
    const kept = this.#workloads.get(key);
    if (kept === undefined || !kept.services.includes(service)) return undefined;
    this.#workloads.delete(key);
    return kept;
  }

  /** The hold on a service from before, given out once; undefined where its workload is another one now. */
  recallHold(service: string, workload: string): KeptHold | undefined {
    const hold = this.#holds.get(service);
    this.#holds.delete(service);
    return hold?.workload === workload ? hold : undefined;
  }

  /** Nobody has the workload any more: it is kept until somebody has it again. */
  leave(key: string, kept: KeptWorkload): void {
    if (this.#isOff) return;
    this.#workloads.set(key, kept);
    this.touch();
  }

  /** Something has changed. Cheap. */
  touch(): void {
    if (this.#timer !== undefined || this.#isOff) return;
    if (this.#writing !== undefined) {
      this.#isTouched = true;
      return;
    }
    const { clock } = this.#parts;
    const delayMs = Math.max(GATHER_MS, this.#nextMs - clock.monotonicMs());
    this.#timer = clock.schedule(delayMs, () => {
      this.#timer = undefined;
      void this.#write();
    });
  }

  /** The proxy begins to end: the holds that there are now are those that go on after the next start. */
  drain(): void {
    this.#lastHolds ??= this.#source?.holds();
  }

  /** Writes a last time, but doesn't wait for a disk that hangs. Idempotent. */
  async close(): Promise<void> {
    if (this.#isOff) return;
    this.drain();
    this.#isClosed = true;
    this.#timer?.();
    this.#timer = undefined;
    const written = new AbortController();
    const late = this.#parts.clock.sleep(LAST_WRITE_MS, written.signal).catch(() => {});
    const last = Promise.resolve(this.#writing).then(() => this.#write());
    await Promise.race([last, late]);
    written.abort();
  }

  get #isOff(): boolean {
    return this.#isClosed || this.#parts.folder.lack !== undefined;
  }

  async #write(): Promise<void> {
    const source = this.#source;
    if (source === undefined) return;
    this.#writing = this.#writeOf(source);
    await this.#writing;
    this.#writing = undefined;
    if (!this.#isTouched) return;
    this.#isTouched = false;
    this.touch();
  }

  async #writeOf(source: KeptSource): Promise<void> {
    const { folder, clock, logger } = this.#parts;
    const beganMs = clock.monotonicMs();
    const text = writeKept(this.#snapshot(source));
    const tookMs = clock.monotonicMs() - beganMs;
    this.#nextMs = beganMs + Math.max(MIN_INTERVAL_MS, tookMs / MAX_SHARE);
    try {
      await folder.write(FILE, text);
      if (this.#isFailing) logger.info(EVENT, 'what the proxy remembers is kept again');
      this.#isFailing = false;
    } catch (error) {
      const message = `what the proxy remembers can't be kept: ${messageOf(error)}; it is tried again when something happens`;
      if (!this.#isFailing) logger.warn(EVENT, message);
      this.#isFailing = true;
    }
  }

  #snapshot(source: KeptSource): Kept {
    const savedMs = this.#parts.clock.nowMs();
    const workloads = new Map(this.#workloads);
    for (const [key, kept] of source.workloads()) workloads.set(key, kept);
    const holds = new Map(this.#holds);
    for (const hold of this.#lastHolds ?? source.holds()) holds.set(hold.service, hold);
    return { savedMs, workloads, holds: [...holds.values()] };
  }
}

async function loadKept({ folder, logger }: Parts): Promise<Kept | undefined> {
  try {
    // In UTF-8 a character takes four bytes at most.
    const bytes = await folder.read(FILE, { maxBytes: 4 * MAX_KEPT_CHARACTERS });
    if (bytes === undefined) return undefined;
    const kept = readKept(bytes.toString());
    if (!('why' in kept)) return kept;
    const aside = await folder.setAside(FILE).catch(() => undefined);
    const then = aside === undefined ? '' : `; it is ${aside} now`;
    logger.warn(EVENT, `what the proxy remembered can't be used: ${kept.why}${then}`);
  } catch (error) {
    if (folder.lack === undefined)
      logger.warn(EVENT, `what the proxy remembered can't be read: ${messageOf(error)}`);
  }
  return undefined;
}
