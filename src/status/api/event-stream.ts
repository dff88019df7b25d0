/**
 * `GET /api/events`: what happens, as Server-Sent Events. Guarantees: whoever comes back with the last id that he has seen gets what he
 * has missed, if it is among the last thousand; nobody is waited for, and what a client doesn't take is bounded.
 */
import type { Happening } from '../../model/running/happening.ts';
import { type Cancel, type Clock, formatTimestamp } from '../../system/clock.ts';
import { renderWake } from './service-json.ts';

const MAX_KEPT = 1_000;
const MAX_CLIENTS = 64;
/** What one client may leave untaken, beside what it had missed when it came. */
const MAX_UNTAKEN_BYTES = 65_536;
/** Between signs of life, ms: a client that has taken nothing from one to the next is cut off. */
const BEAT_MS = 15_000;
/** How long events are kept when nobody listens any more, ms. */
const KEEP_MS = 300_000;
const MAX_REASON_CHARS = 500;
/** How long a browser waits before it comes back, ms. */
const RETRY_MS = 2_000;

/** A client that takes events until it leaves or is cut. */
export interface EventClient {
  readonly remoteAddress: string | undefined;
  /** Bytes that were written and not taken yet. */
  readonly untakenBytes: number;
  write(text: string): void;
  /** Cuts it off. Idempotent. */
  cut(): void;
  /** @param callback called once, when it has left or was cut. */
  onClose(callback: () => void): void;
}

interface Standing {
  readonly mayStay: () => Promise<boolean>;
  /** At the last sign of life. */
  untakenBefore: number;
  /** What it may still leave untaken of what it had missed when it came: it was given all of that at once. */
  missedBytes: number;
}

export class EventStream {
  readonly #clock: Clock;
  readonly #listen: (listener: (happening: Happening) => void) => () => void;
  /** Tells the events of this run from those of another one. */
  readonly #run: string;
  readonly #clients = new Map<EventClient, Standing>();
  /** The last events as they were sent, oldest first. */
  #kept: string[] = [];
  /** The number of the newest event. */
  #last = 0;
  #stop: (() => void) | undefined;
  #cancelBeat: Cancel | undefined;
  #cancelForget: Cancel | undefined;
  #isClosed = false;

  constructor(options: {
    readonly clock: Clock;
    readonly listen: (listener: (happening: Happening) => void) => () => void;
  }) {
    this.#clock = options.clock;
    this.#listen = options.listen;
    this.#run = Math.round(options.clock.nowMs()).toString(36);
  }

  /**
   * @param options.lastId the id of the last event that the client has seen; undefined = none.
   * @param options.mayStay asked again and again: a token can be replaced while a stream lasts. Never rejects.
   */
  add(
    client: EventClient,
    { lastId, mayStay }: { readonly lastId: string | undefined; readonly mayStay: () => Promise<boolean> },
  ): void {
    if (this.#isClosed) return client.cut();
    this.#cancelForget?.();
    this.#cancelForget = undefined;
    this.#stop ??= this.#listen((happening) => this.#take(happening));
    if (this.#clients.size >= MAX_CLIENTS) this.#cutOne();
    const standing: Standing = { mayStay, untakenBefore: 0, missedBytes: 0 };
    this.#clients.set(client, standing);
    client.onClose(() => this.#removed(client));
    this.#cancelBeat ??= this.#clock.schedule(BEAT_MS, () => this.#beat());
    const missed = this.#missedSince(lastId);
    const now = `id: ${this.#idOf(this.#last)}\n`;
    // One that comes for the first time knows from where it has listened.
    client.write(`retry: ${RETRY_MS}\n${lastId === undefined ? now : ''}\n`);
    // What was missed can't be told any more: all that is known has to be asked for again.
    if (missed === undefined) client.write(`${now}event: reset\ndata: {}\n\n`);
    else for (const event of missed) client.write(event);
    standing.missedBytes = client.untakenBytes;
  }

  /** Cuts everybody. Idempotent. */
  close(): void {
    this.#isClosed = true;
    for (const client of [...this.#clients.keys()]) client.cut();
    this.#forget();
  }

  #take(happening: Happening): void {
    const id = this.#idOf(++this.#last);
    const { sharesWith, ...told } = happening;
    const { kind, ...data } = renderHappening(told);
    const at = formatTimestamp(this.#clock.nowMs());
    const json = JSON.stringify({ at, ...data, ...(sharesWith && { shares_with: sharesWith }) });
    const event = `id: ${id}\nevent: ${kind}\ndata: ${json}\n\n`;
    this.#kept.push(event);
    if (this.#kept.length > MAX_KEPT) this.#kept.shift();
    for (const [client, standing] of [...this.#clients]) this.#write(client, { text: event, standing });
  }

  #write(
    client: EventClient,
    { text, standing }: { readonly text: string; readonly standing: Standing },
  ): void {
    standing.missedBytes = Math.min(standing.missedBytes, client.untakenBytes);
    client.write(text);
    if (client.untakenBytes > standing.missedBytes + MAX_UNTAKEN_BYTES) client.cut();
  }

  /** Undefined where the client has seen events that are not known here, or has missed more than are kept. */
  #missedSince(lastId: string | undefined): readonly string[] | undefined {
    if (lastId === undefined) return [];
    const [run, number = ''] = lastId.split('-');
    const seen = /^\d{1,15}$/.test(number) ? Number(number) : Number.NaN;
    const missed = this.#last - seen;
    if (run !== this.#run || !(missed >= 0 && missed <= this.#kept.length)) return undefined;
    return missed === 0 ? [] : this.#kept.slice(-missed);
  }

  #idOf(number: number): string {
    return `${this.#run}-${number}`;
  }

  #beat(): void {
    this.#cancelBeat = this.#clock.schedule(BEAT_MS, () => this.#beat());
    for (const [client, standing] of [...this.#clients]) {
      const { untakenBytes } = client;
      if (untakenBytes > 0 && untakenBytes >= standing.untakenBefore && standing.untakenBefore > 0)
        client.cut();
      else {
        standing.untakenBefore = untakenBytes;
        this.#write(client, { text: ':\n\n', standing });
        void standing.mayStay().then((may) => may || client.cut());
      }
    }
  }

  /** Of the address that has most, the one that came first: a flood cuts itself. */
  #cutOne(): void {
    const byAddress = new Map<string | undefined, EventClient[]>();
    for (const client of this.#clients.keys()) {
      const { remoteAddress } = client;
      byAddress.set(remoteAddress, [...(byAddress.get(remoteAddress) ?? []), client]);
    }
    const [most] = [...byAddress.values()].sort((a, b) => b.length - a.length);
    most?.[0]?.cut();
  }

  #removed(client: EventClient): void {
    if (!this.#clients.delete(client) || this.#clients.size > 0 || this.#isClosed) return;
    this.#cancelBeat?.();
    this.#cancelBeat = undefined;
    this.#cancelForget = this.#clock.schedule(KEEP_MS, () => this.#forget());
  }

  /** Nothing is kept, or made, until somebody comes again. */
  #forget(): void {
    this.#stop?.();
    this.#stop = undefined;
    this.#cancelBeat?.();
    this.#cancelForget?.();
    this.#cancelBeat = this.#cancelForget = undefined;
    // Who comes back with an id from before must not be told that nothing happened.
    if (this.#kept.length > 0) this.#last++;
    this.#kept = [];
  }
}

function renderHappening(happening: Happening): { readonly kind: string; readonly [field: string]: unknown } {
  switch (happening.kind) {
    case 'wake':
    case 'reload':
      return happening;
    case 'state':
      return { ...happening, ...('reason' in happening && { reason: cut(happening.reason ?? '') }) };
    case 'refusal':
      return { ...happening, reason: cut(happening.reason) };
    case 'woken': {
      const { kind, service, wake } = happening;
      return { kind, service, ...renderWake(wake, { showOutput: false }) };
    }
    case 'use': {
      const { kind, service, inUse, sleepsAtMs } = happening;
      const sleepsAt = sleepsAtMs === undefined ? {} : { sleeps_at: formatTimestamp(sleepsAtMs) };
      return { kind, service, in_use: inUse, ...sleepsAt };
    }
    case 'sleep': {
      const { kind, service, sleep } = happening;
      return { kind, service, why: sleep.kind, reason: cut(sleep.words) };
    }
  }
}

function cut(text: string): string {
  return text.length > MAX_REASON_CHARS ? `${text.slice(0, MAX_REASON_CHARS)}…` : text;
}
