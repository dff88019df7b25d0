/**
 * What happens, as the proxy tells it (`GET /api/events`): Server-Sent Events, taken by `fetch` because `EventSource` sends no token.
 * It comes back by itself, with what it has missed.
 */
import { ApiError, send } from './client.ts';
import { schedule } from '../clock.ts';

/** The proxy gives a sign of life every 15 s; something in between may swallow them. */
const SILENCE_MS = 40_000;
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 15_000;

/** `absent`: the proxy has no events, or doesn't give them to who asks. */
export type FeedState = 'closed' | 'open' | 'absent';

export interface FeedEvent {
  /** `state`, `wake`, `reset` … */
  readonly kind: string;
  /** Of which service it tells; undefined where it is of none. */
  readonly service: string | undefined;
}

export class EventFeed {
  readonly #onEvent: (event: FeedEvent) => void;
  readonly #onState: (state: FeedState) => void;
  #abort: AbortController | undefined;
  #cancelRetry: () => void = () => {};
  #lastId: string | undefined;
  #retryMs = FIRST_RETRY_MS;

  constructor(options: {
    readonly onEvent: (event: FeedEvent) => void;
    readonly onState: (state: FeedState) => void;
  }) {
    this.#onEvent = options.onEvent;
    this.#onState = options.onState;
  }

  /** Idempotent. */
  open(): void {
    if (this.#abort !== undefined) return;
    this.#cancelRetry();
    const abort = new AbortController();
    this.#abort = abort;
    this.#follow(abort)
      .catch((error: unknown) => error)
      .then((error) => {
        if (this.#abort !== abort) return;
        this.#abort = undefined;
        const isRefused = error instanceof ApiError && error.status > 0 && error.status < 500;
        this.#onState(isRefused ? 'absent' : 'closed');
        this.#cancelRetry = schedule(isRefused ? MAX_RETRY_MS : this.#retryMs, () => this.open());
        this.#retryMs = Math.min(MAX_RETRY_MS, 2 * this.#retryMs);
      });
  }

  /** Idempotent; it can be opened again. */
  close(): void {
    this.#cancelRetry();
    this.#abort?.abort();
    this.#abort = undefined;
    this.#onState('closed');
  }

  async #follow(abort: AbortController): Promise<void> {
    let cancelSilence = schedule(SILENCE_MS, () => abort.abort());
    try {
      const headers = this.#lastId === undefined ? {} : { 'last-event-id': this.#lastId };
      const response = await send('api/events', { signal: abort.signal, headers });
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      let rest = '';
      for (;;) {
        const chunk = await reader?.read();
        if (chunk === undefined || chunk.done || abort.signal.aborted) return;
        this.#onState('open');
        this.#retryMs = FIRST_RETRY_MS;
        cancelSilence();
        cancelSilence = schedule(SILENCE_MS, () => abort.abort());
        const blocks = (rest + chunk.value).split(/\r?\n\r?\n/);
        rest = blocks.pop() ?? '';
        for (const block of blocks) this.#take(block);
      }
    } finally {
      cancelSilence();
    }
  }

  #take(block: string): void {
    let kind = 'message';
    let data: string | undefined;
    for (const line of block.split(/\r?\n/)) {
      const [, field, value = ''] = /^([^:]+):? ?(.*)$/.exec(line) ?? [];
      if (field === 'event') kind = value;
      if (field === 'id') this.#lastId = value;
      if (field === 'data') data = value;
    }
    if (data !== undefined) this.#onEvent({ kind, service: readService(data) });
  }
}

function readService(data: string): string | undefined {
  try {
    const { service } = JSON.parse(data) as { readonly service?: unknown };
    return typeof service === 'string' ? service : undefined;
  } catch {
    return undefined;
  }
}
