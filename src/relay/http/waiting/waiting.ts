/**
 * What browsers see while a service wakes. Input: navigations to services that aren't ready, and what the shown pages ask for.
 * Output: the page, or its state. Guarantees: only a navigation wakes; what a page asks for by itself never does; what a
 * page waits for is held awake until the page has opened it.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../../../system/clock.ts';
import { messageOf } from '../../../system/message-of.ts';
import { sendAnswer, sendBody } from '../answer.ts';
import { isNavigation } from '../message/intent.ts';
import type { UpstreamPool } from '../upstream/upstream-pool.ts';
import type { WakeView, WebBinding } from '../web-binding.ts';
import type { WebRequest } from '../web-engine.ts';
import { PageHold } from './page-hold.ts';
import { describeState, renderPage, SCRIPT, STATE_PATH, STYLE, WAIT_PATH } from './waiting-page.ts';

/** A browser that waits for longer gets a page. */
const SHOW_AFTER_MS = 1_000;
/** Browsers that are held; more of them wait without a page. */
const MAX_HOLDS = 4_096;
const RETRY_AFTER_SECONDS = 3;
const HTML = 'text/html; charset=utf-8';

type Themes = (binding: WebBinding) => string | undefined;

export class Waiting {
  readonly #clock: Clock;
  readonly #themeOf: Themes;
  readonly #policy = describePolicy();
  readonly #holds = new Map<string, PageHold>();

  /** @param options.themeOf the text of a service's own page, where it has one that can be read. */
  constructor(options: { readonly clock: Clock; readonly themeOf?: Themes }) {
    this.#clock = options.clock;
    this.#themeOf = options.themeOf ?? (() => undefined);
  }

  /**
   * Wakes the service for a browser's navigation, and shows it a page where that takes long; the connection by which the service
   * was found ready is left in the pool. Does nothing for other requests.
   * @returns whether the request was answered.
   * @throws why the service can't be woken.
   */
  async offer(
    request: WebRequest,
    options: { readonly binding: WebBinding; readonly pool: UpstreamPool; readonly signal: AbortSignal },
  ): Promise<boolean> {
    const { binding, pool, signal } = options;
    if (binding.policy.waitingPage.kind === 'off' || !isNavigation(request.read)) return false;
    const key = keyOf(binding.service, request.address);
    const hold = this.#holds.get(key) ?? this.#open(request, { key, binding, pool });
    if (hold === undefined) return false;
    const outcome = await hold.wait(SHOW_AFTER_MS, signal);
    if (outcome.kind === 'failed') throw outcome.error;
    if (outcome.kind !== 'late') return outcome.kind === 'left';
    // The wake may be between two states at this moment; the page would not ask again.
    const view: WakeView = { ...binding.look(), state: 'waking' };
    sendBody(request.response, this.#page({ binding, view, url: request.read.target }));
    return true;
  }

  /** A request of this client is served by the service: what was held for its page is given back. */
  served(service: string, address: string): void {
    if (this.#holds.size > 0) this.#holds.get(keyOf(service, address))?.served();
  }

  /** Answers what a page asks for by itself. */
  answer({ read, response }: WebRequest, binding: WebBinding): void {
    if (read.method !== 'GET' && read.method !== 'HEAD')
      return sendAnswer(response, { status: 405, text: `${read.method} is not served here.` });
    const view = binding.look();
    if (read.path === STATE_PATH)
      return sendBody(response, {
        ...{ status: 200, type: 'application/json', body: describeState(binding.service, view) },
      });
    if (read.path !== WAIT_PATH)
      return sendAnswer(response, { status: 404, text: 'There is no such page of the proxy.' });
    const url = readTarget(read.target);
    if (view.state !== 'ready') return sendBody(response, this.#page({ binding, view, url }));
    sendAnswer(response, { status: 303, text: `${binding.service} is ready.`, headers: { Location: url } });
  }

  /** What a browser sees when the service has not woken; undefined for other clients. */
  failurePage({ read }: WebRequest, binding: WebBinding, error: unknown) {
    if (binding.policy.waitingPage.kind === 'off' || !isNavigation(read)) return undefined;
    const view: WakeView = { state: 'failed', reason: messageOf(error) };
    return this.#page({ binding, view, url: read.target });
  }

  /** Idempotent. */
  close(): void {
    for (const hold of [...this.#holds.values()]) hold.end();
  }

  #open(
    { peer, address }: WebRequest,
    options: { readonly key: string; readonly binding: WebBinding; readonly pool: UpstreamPool },
  ): PageHold | undefined {
    const { key, binding, pool } = options;
    if (this.#holds.size >= MAX_HOLDS) return undefined;
    const hold = new PageHold({
      clock: this.#clock,
      lease: binding.takeLease({ client: peer.endpoint, address, user: undefined }),
      // Where an upstream is told of each client, it is told by the request that will come.
      onReady: ({ socket, ended }) =>
        binding.proxyProtocol === undefined ? pool.giveBack(pool.adopt(socket, { ended })) : socket.destroy(),
      onEnd: () => this.#holds.delete(key),
    });
    this.#holds.set(key, hold);
    return hold;
  }

  #page(facts: { readonly binding: WebBinding; readonly view: WakeView; readonly url: string }) {
    const { binding, view, url } = facts;
    const theme = this.#themeOf(binding);
    const body = renderPage({ service: binding.service, view, url, theme });
    const headers = {
      'Content-Security-Policy': theme === undefined ? this.#policy : THEME_POLICY,
      'Referrer-Policy': 'same-origin',
    };
    return { status: 503, type: HTML, body, headers, retryAfterSeconds: RETRY_AFTER_SECONDS };
  }
}

function keyOf(service: string, address: string): string {
  return `${address} ${service}`;
}

/** The path that a page without JavaScript goes back to: of this host, and none of the proxy's own. */
function readTarget(target: string): string {
  const to = new URLSearchParams(target.slice(target.indexOf('?') + 1)).get('to') ?? '/';
  // Browsers take `//` and `/\` for the begin of another host, and leave out control characters.
  const isPath = /^\/(?![/\\])[\x21-\x7e]*$/.test(to) || to === '/';
  return isPath && !to.startsWith('/.lazy-proxy/') ? to : '/';
}

/** Allows just what is in the page. */
function describePolicy(): string {
  const parts = [
    ...["default-src 'none'", `style-src '${hashOf(STYLE)}'`, `script-src '${hashOf(SCRIPT)}'`],
    ...["connect-src 'self'", "base-uri 'none'", "form-action 'none'"],
  ];
  return parts.join('; ');
}

/** A page of the user's own brings its style and script along, and loads nothing from elsewhere. */
const THEME_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src 'self' data:; font-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'";

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
