import { get as getHttp } from 'node:http';
import { get as getHttps } from 'node:https';
import { backoffMs } from '../system/backoff.ts';
import type { Clock } from '../system/clock.ts';
import { describeFailure } from './describe-failure.ts';

/** The first tries come fast, then they back off (DESIGN 4.2). */
const RETRY = { firstMs: 25, maxMs: 1_000 } as const;
/** An answer that takes longer is a failed try. */
const TRY_TIMEOUT_MS = 2_000;
const MAX_REDIRECTS = 5;

/** The URL with `{{container}}` replaced by an address, IPv6 in brackets. Pure. */
export function fillHealthcheckUrl(template: string, host: string): string {
  return template.replaceAll('{{container}}', host.includes(':') ? `[${host}]` : host);
}

/**
 * Asks with GET until the answer's status is accepted; redirects are followed, unless their own status is.
 * @param options.hosts what `{{container}}` may stand for, tried in turn; at least one.
 * @param options.accepts whether a status counts as ready; default: 200 to 299.
 * @param options.onFailure told after each try that failed: `GET http://172.18.0.3/health answered 404`.
 * @throws the signal's reason when it aborts.
 */
export async function untilHttpHealthy(
  template: string,
  options: {
    readonly hosts: readonly string[];
    readonly clock: Clock;
    readonly signal: AbortSignal;
    readonly accepts?: (status: number) => boolean;
    readonly onFailure?: (reason: string) => void;
  },
): Promise<void> {
  const { hosts, clock, signal, accepts = isSuccess, onFailure } = options;
  for (let failures = 1; ; failures++) {
    const host = hosts[(failures - 1) % hosts.length] ?? '';
    const failure = await tryOnce(fillHealthcheckUrl(template, host), { clock, signal, accepts });
    if (failure === undefined) return;
    if (!signal.aborted) onFailure?.(failure);
    await clock.sleep(backoffMs(failures, RETRY), signal);
  }
}

function isSuccess(status: number): boolean {
  return status >= 200 && status <= 299;
}

/** Why one try failed; undefined where the answer was good. */
async function tryOnce(
  url: string,
  {
    clock,
    signal,
    accepts,
  }: {
    readonly clock: Clock;
    readonly signal: AbortSignal;
    readonly accepts: (status: number) => boolean;
  },
): Promise<string | undefined> {
  const attempt = new AbortController();
  const abort = () => attempt.abort();
  const cancel = clock.schedule(TRY_TIMEOUT_MS, () => {
    attempt.abort(new Error(`no answer within ${TRY_TIMEOUT_MS} ms`));
  });
  signal.addEventListener('abort', abort, { once: true });
  try {
    const answer = await getAnswer(url, { signal: attempt.signal, redirects: MAX_REDIRECTS, accepts });
    return accepts(answer.status) ? undefined : `GET ${showUrl(answer.url)} answered ${answer.status}`;
  } catch (error) {
    // An aborted request fails with an error that hides the reason.
    const reason: unknown = attempt.signal.aborted ? attempt.signal.reason : error;
    return `GET ${showUrl(url)}: ${describeFailure(reason)}`;
  } finally {
    cancel();
    signal.removeEventListener('abort', abort);
  }
}

/** The address without what may be secret in it: the status, which is open, shows it. */
function showUrl(url: string): string {
  if (!URL.canParse(url)) return url;
  const { origin, pathname, search } = new URL(url);
  return `${origin}${pathname}${search === '' ? '' : '?…'}`;
}

/** The answer of the last of the redirects. */
interface Answer {
  readonly url: string;
  readonly status: number;
}

function getAnswer(
  url: string,
  options: {
    readonly signal: AbortSignal;
    readonly redirects: number;
    readonly accepts: (status: number) => boolean;
  },
): Promise<Answer> {
  const get = url.startsWith('https:') ? getHttps : getHttp;
  return new Promise((resolve, reject) => {
    // A connection of its own, so that none is left open on a workload that may stop.
    const request = get(url, { signal: options.signal, agent: false }, (response) => {
      const { statusCode: status = 0, headers } = response;
      response.destroy();
      const redirects = status >= 300 && status <= 399 && !options.accepts(status);
      const target = redirects ? headers.location : undefined;
      if (target === undefined || options.redirects === 0) return resolve({ url, status });
      if (!URL.canParse(target, url)) return reject(new Error(`it redirects to "${target}"`));
      getAnswer(new URL(target, url).href, { ...options, redirects: options.redirects - 1 }).then(
        resolve,
        reject,
      );
    });
    request.once('error', reject);
  });
}
