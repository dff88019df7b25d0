/** What a request is about, as far as waking goes: may it wake the service, and is somebody looking at it? Pure. */
import type { WakePath } from '../../../model/web.ts';
import { headerOf, type ReadRequest } from './read-request.ts';

/** Whether requests for a path may wake the service: the longest prefix that fits decides. */
export function mayWakeBy(path: string, wakePaths: readonly WakePath[]): boolean {
  let best: WakePath | undefined;
  for (const wakePath of wakePaths) {
    if (best !== undefined && best.prefix.length >= wakePath.prefix.length) continue;
    if (path.startsWith(wakePath.prefix)) best = wakePath;
  }
  return best?.mayWake ?? true;
}

/**
 * Whether a browser wants to show the answer as a page. Where a browser says what it is for, that counts; an older one is
 * known by what it accepts: `text/html` by name, and not as the last thing that would do.
 */
export function isNavigation({ method, headers }: Pick<ReadRequest, 'method' | 'headers'>): boolean {
  if (method !== 'GET') return false;
  const accept = headerOf(headers, 'accept');
  if (accept === undefined || !/(^|,)\s*text\/html\s*(,|$|;(?!\s*q=0(\.0+)?\s*(,|$)))/i.test(accept))
    return false;
  const mode = headerOf(headers, 'sec-fetch-mode');
  return mode === undefined || mode === 'navigate';
}
