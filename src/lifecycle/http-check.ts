import { get as getHttp } from 'node:http';
import { get as getHttps } from 'node:https';
import { backoffMs } from '../system/backoff.ts';
import type { Clock } from '../system/clock.ts';

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
 * Asks with GET until the answer is 2xx; redirects are followed.
 * @param hosts what `{{container}}` may stand for, tried in turn; at least one.
 * @throws the signal's reason when it aborts.
 */
export async function untilHttpHealthy(
  template: string,
  options: { readonly hosts: readonly string[]; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  const { hosts, clock, signal } = options;
  for (let failures = 1; ; failures++) {
    const host = hosts[(failures - 1) % hosts.length] ?? '';
    if (await isHealthy(fillHealthcheckUrl(template, host), { clock, signal })) return;
    await clock.sleep(backoffMs(failures, RETRY), signal);
  }
}

async function isHealthy(
  url: string,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<boolean> {
  const attempt = new AbortController();
  const abort = () => attempt.abort();
  const cancel = clock.schedule(TRY_TIMEOUT_MS, abort);
  signal.addEventListener('abort', abort, { once: true });
  try {
    const status = await getStatus(url, { signal: attempt.signal, redirects: MAX_REDIRECTS });
    return status >= 200 && status <= 299;
  } catch {
    return false;
  } finally {
    cancel();
    signal.removeEventListener('abort', abort);
  }
}

function getStatus(
  url: string,
  options: { readonly signal: AbortSignal; readonly redirects: number },
): Promise<number> {
  const get = url.startsWith('https:') ? getHttps : getHttp;
  return new Promise((resolve, reject) => {
    // A connection of its own, so that none is left open on a workload that may stop.
    const request = get(url, { signal: options.signal, agent: false }, (response) => {
      const { statusCode = 0, headers } = response;
      response.destroy();
      const target = statusCode >= 300 && statusCode <= 399 ? headers.location : undefined;
      if (target === undefined || options.redirects === 0) return resolve(statusCode);
      if (!URL.canParse(target, url)) return reject(new Error(`it redirects to "${target}"`));
      getStatus(new URL(target, url).href, { ...options, redirects: options.redirects - 1 }).then(
        resolve,
        reject,
      );
    });
    request.once('error', reject);
  });
}
