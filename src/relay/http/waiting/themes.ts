import { readFileSync, statSync } from 'node:fs';
import type { Clock } from '../../../system/clock.ts';
import { messageOf } from '../../../system/message-of.ts';
import type { WebBinding } from '../web-binding.ts';

const MAX_BYTES = 262_144;
/** A changed file shows so soon. */
const FRESH_MS = 1_000;
const MAX_KEPT = 256;

interface Theme {
  readonly text: string | undefined;
  readonly reason: string | undefined;
  readonly readAtMs: number;
}

/** The pages that users have written for their services, read when they are shown. */
export class Themes {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #onBad: (service: string, reason: string) => void;
  readonly #kept = new Map<string, Theme>();

  /** @param options.onBad told why a page can't be used; the proxy's own is shown instead. */
  constructor(options: {
    readonly clock: Pick<Clock, 'monotonicMs'>;
    readonly onBad: (service: string, reason: string) => void;
  }) {
    this.#clock = options.clock;
    this.#onBad = options.onBad;
  }

  /** The text of a service's page; undefined where it has none, or none that can be read. */
  of({
    service,
    policy: { waitingPage },
  }: Pick<WebBinding, 'service'> & { readonly policy: Pick<WebBinding['policy'], 'waitingPage'> }):
    | string
    | undefined {
    if (waitingPage.kind !== 'file') return undefined;
    const { path } = waitingPage;
    const kept = this.#kept.get(path);
    const nowMs = this.#clock.monotonicMs();
    if (kept !== undefined && nowMs - kept.readAtMs < FRESH_MS) return kept.text;
    const read = readTheme(path);
    if (read.reason !== undefined && read.reason !== kept?.reason)
      this.#onBad(service, `waiting_page ${path}: ${read.reason}`);
    if (this.#kept.size >= MAX_KEPT) this.#kept.clear();
    this.#kept.set(path, { ...read, readAtMs: nowMs });
    return read.text;
  }
}

function readTheme(path: string): Pick<Theme, 'text' | 'reason'> {
  try {
    const info = statSync(path);
    const { size } = info;
    // To read a FIFO or a device would hold up everything else, maybe for ever.
    if (!info.isFile()) return { text: undefined, reason: 'it is not a regular file' };
    if (size > MAX_BYTES)
      return { text: undefined, reason: `it has ${size} bytes, and at most ${MAX_BYTES} are shown` };
    return { text: readFileSync(path, 'utf8'), reason: undefined };
  } catch (error) {
    return { text: undefined, reason: messageOf(error) };
  }
}
