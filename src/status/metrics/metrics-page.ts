/**
 * `GET /metrics`. Input: the figures as they are at the scrape. Output: Prometheus' text format. Guarantees: it is made in pieces
 * between which the event loop goes on, once for all who ask before it is begun, and after it is made there is a rest, so that no
 * number of scrapers takes more than a tenth of the proxy's time.
 */
import { type Metric, Registry } from 'prom-client';
import { afterEvents, type Clock } from '../../system/clock.ts';
import type { Answer } from '../answer.ts';
import type { MetricsContent, ServiceFigures } from './content.ts';
import { type Family, PROXY_FAMILIES, type Sample, SERVICE_FAMILIES } from './families.ts';

/** After so long, other events have their turn, in ms. */
const PIECE_MS = 5;
/** Services that are looked at before the time is looked at. */
const SERVICES_AT_ONCE = 20;
/** See `Pace`. */
const REST_FACTOR = 9;
const MAX_REST_MS = 1_000;

export interface MetricsPage {
  /** Rejects once the page is closed. */
  take(): Promise<Answer>;
  /** Idempotent. */
  close(): void;
}

export function createMetricsPage(content: MetricsContent, clock: Clock): MetricsPage {
  const closing = new AbortController();
  let last: Promise<unknown> = Promise.resolve();
  /** The answer that is not begun yet. */
  let next: Promise<Answer> | undefined;
  const make = async (before: Promise<unknown>): Promise<Answer> => {
    await before;
    closing.signal.throwIfAborted();
    next = undefined;
    const pieces = new Pieces(clock);
    const answer = render(content, pieces);
    last = answer
      .then(() => clock.sleep(Math.min(MAX_REST_MS, REST_FACTOR * pieces.busyMs), closing.signal))
      .catch(() => {});
    return answer;
  };
  return {
    take() {
      next ??= make(last);
      return next;
    },
    close: () => closing.abort(new Error('the proxy is shutting down')),
  };
}

/** Divides the work. */
class Pieces {
  readonly #clock: Clock;
  #sinceMs: number;
  #busyMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#sinceMs = clock.monotonicMs();
  }

  /** How long the pieces have taken in all. */
  get busyMs(): number {
    return this.#busyMs + this.#clock.monotonicMs() - this.#sinceMs;
  }

  /** To be called often: resolves at once, or, where the piece has taken long enough, when other events had their turn. */
  async pause(): Promise<void> {
    if (this.#clock.monotonicMs() - this.#sinceMs < PIECE_MS) return;
    this.#busyMs = this.busyMs;
    await new Promise<void>((resolve) => afterEvents(resolve));
    this.#sinceMs = this.#clock.monotonicMs();
  }
}

async function render(content: MetricsContent, pieces: Pieces): Promise<Answer> {
  const proxy = await content.proxy();
  const batches: ServiceFigures[][] = [];
  for (const figures of content.services()) {
    const batch = batches.at(-1);
    if (batch !== undefined && batch.length < SERVICES_AT_ONCE) {
      batch.push(figures);
      continue;
    }
    batches.push([figures]);
    await pieces.pause();
  }
  const written: Buffer[] = [];
  for (const family of PROXY_FAMILIES) {
    written.push(await write(family, family.read(proxy)));
    await pieces.pause();
  }
  for (const family of SERVICE_FAMILIES) {
    let isBegun = false;
    for (const batch of batches) {
      const samples = batch.flatMap(family.read);
      if (samples.length === 0) continue;
      const text = await write(family, samples);
      written.push(isBegun ? withoutHead(text) : text);
      isBegun = true;
      await pieces.pause();
    }
  }
  const headers = { 'content-type': new Registry().contentType, 'cache-control': 'no-store' };
  return { status: 200, headers, body: Buffer.concat(written) };
}

/** A metric without lines is left out. */
async function write(
  { name, type, help }: Pick<Family<never>, 'name' | 'type' | 'help'>,
  values: readonly Sample[],
): Promise<Buffer> {
  if (values.length === 0) return Buffer.alloc(0);
  const registry = new Registry();
  // The figures are kept elsewhere: a metric of prom-client's own would have each copied into it, and looked up by its labels.
  const metric = { name, help, type, get: async () => ({ name, help, type, values, aggregator: 'sum' }) };
  registry.registerMetric(metric as unknown as Metric);
  return Buffer.from(`${await registry.getSingleMetricAsString(name)}\n`);
}

/** Without the two lines that say what the metric means, which come once. */
function withoutHead(text: Buffer): Buffer {
  return text.subarray(text.indexOf('\n', text.indexOf('\n') + 1) + 1);
}
