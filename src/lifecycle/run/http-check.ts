import type { ServiceUrl, StatusRange } from '../../model/service.ts';
import { backoffMs } from '../../system/waiting/backoff.ts';
import type { Clock } from '../../system/clock.ts';
import { type CheckTarget, checkAll, requestUrl } from '../../system/net/http-client.ts';
import { describeFailure } from './describe-failure.ts';
import { raceStaggered } from './race-staggered.ts';
import { formatStatuses } from '../../model/text/format-statuses.ts';

/** The first tries come fast, then they back off (DESIGN 4.2). */
const RETRY = { firstMs: 25, maxMs: 1_000 } as const;
/** An answer that takes longer is a failed try. */
const TRY_TIMEOUT_MS = 2_000;
const MAX_REDIRECTS = 5;
const PLACEHOLDER = '{{container}}';
const NOWHERE = 'the URL of a label may lead to {{container}} only';

/** The URL with `{{container}}` replaced by an address, IPv6 in brackets. Pure. */
export function fillHealthcheckUrl(template: string, host: string): string {
  return template.replaceAll(PLACEHOLDER, host.includes(':') ? `[${host}]` : host);
}

/**
 * Asks with GET until the answer's status is accepted. Redirects are followed while they stay on their host, unless their
 * own status is accepted.
 * @param options.hosts what `{{container}}` may stand for; at least one. The next one is asked as soon as the one before has
 * failed or been silent for 250 ms, and the one that answered last comes first.
 * @param options.accepted which statuses count as ready now; default: 200 to 299.
 * @param options.onFailure told after each round that failed: `GET http://172.18.0.3/health answered 404`.
 * @param options.checkUrl where any URL may lead; default: everywhere.
 * @param options.checkLabelUrl where the URL of a label may lead, beside the workload itself; default: nowhere.
 * @returns which of the hosts answered well; undefined where the URL names none of them.
 * @throws the signal's reason when it aborts.
 */
export async function untilHttpHealthy(
  { url: template, from }: ServiceUrl,
  options: {
    readonly hosts: readonly string[];
    readonly clock: Clock;
    readonly signal: AbortSignal;
    readonly accepted?: () => readonly StatusRange[];
    readonly onFailure?: (reason: string) => void;
    readonly checkUrl?: CheckTarget | undefined;
    readonly checkLabelUrl?: CheckTarget | undefined;
  },
): Promise<string | undefined> {
  const { clock, signal, accepted = () => SUCCESS, onFailure } = options;
  const checkTarget = targetCheckOf({ url: template, from }, options);
  const isOfRun = template.includes(PLACEHOLDER);
  const hosts = isOfRun ? [...options.hosts] : options.hosts.slice(0, 1);
  for (let failures = 1; ; failures++) {
    const reasons: Failure[] = [];
    const attempt = async (host: string, ended: AbortSignal) => {
      const url = fillHealthcheckUrl(template, host);
      const failure = await tryOnce(url, { clock, signal: ended, accepted: accepted(), checkTarget });
      if (failure === undefined) return isOfRun ? host : undefined;
      if (failure.answered) hosts.sort((a, b) => Number(b === host) - Number(a === host));
      reasons.push(failure);
      throw new Error(failure.reason);
    };
    try {
      return await raceStaggered([...hosts], { clock, signal, attempt, discard: () => {} });
    } catch {
      // An answer says more than the lack of one.
      const failure = reasons.find(({ answered }) => answered) ?? reasons.at(-1);
      if (!signal.aborted && failure !== undefined) onFailure?.(failure.reason);
    }
    await clock.sleep(backoffMs(failures, RETRY), signal);
  }
}

/**
 * Asks with GET once. Redirects are followed while they stay on their host.
 * @param options as of `untilHttpHealthy`; `deadlineMs` for the whole answer of each host.
 * @returns the status.
 * @throws where there is no answer, or nothing may be asked there; the signal's reason when it aborts.
 */
export async function askStatus(
  { url: template, from }: ServiceUrl,
  options: {
    readonly hosts: readonly string[];
    readonly clock: Clock;
    readonly signal: AbortSignal;
    readonly deadlineMs: number;
    readonly checkUrl?: CheckTarget | undefined;
    readonly checkLabelUrl?: CheckTarget | undefined;
  },
): Promise<number> {
  const { clock, signal, deadlineMs, hosts } = options;
  const checkTarget = targetCheckOf({ url: template, from }, options);
  const asked = template.includes(PLACEHOLDER) ? hosts : [''];
  if (asked.length === 0) throw new Error('it has no address');
  const redirects = { max: MAX_REDIRECTS, follows: () => true };
  return raceStaggered(asked, {
    ...{ clock, signal, discard: () => {} },
    attempt: async (host, ended) => {
      const url = fillHealthcheckUrl(template, host);
      const request = { clock, deadlineMs, signal: ended, redirects, checkTarget };
      const answer = await requestUrl(url, request).catch((error: unknown) => {
        throw new Error(`GET ${showUrl(url)}: ${describeFailure(error)}`, { cause: error });
      });
      return answer.status;
    },
  });
}

/** Where the URL of a check may lead. */
function targetCheckOf(
  { url, from }: ServiceUrl,
  options: {
    readonly checkUrl?: CheckTarget | undefined;
    readonly checkLabelUrl?: CheckTarget | undefined;
  },
): CheckTarget | undefined {
  // A label may always have its own workload asked.
  const isFree = from === 'file' || leadsToContainer(url);
  const checkLabelUrl = isFree ? undefined : (options.checkLabelUrl ?? (() => NOWHERE));
  return checkAll([checkLabelUrl, options.checkUrl]);
}

/** Whether the placeholder is the host of the URL, and not a part of it, of its user or its path. */
function leadsToContainer(template: string): boolean {
  return ['a.invalid', 'b.invalid'].every((host) => {
    const url = fillHealthcheckUrl(template, host);
    return URL.canParse(url) && new URL(url).hostname === host;
  });
}

const SUCCESS: readonly StatusRange[] = [{ first: 200, last: 299 }];

interface Failure {
  readonly reason: string;
  /** There was an answer, but not one that counts. */
  readonly answered: boolean;
}

/** Why one try failed; undefined where the answer was good. */
async function tryOnce(
  url: string,
  options: {
    readonly clock: Clock;
    readonly signal: AbortSignal;
    readonly accepted: readonly StatusRange[];
    readonly checkTarget: CheckTarget | undefined;
  },
): Promise<Failure | undefined> {
  const { clock, signal, accepted, checkTarget } = options;
  const accepts = (status: number) => accepted.some(({ first, last }) => first <= status && status <= last);
  try {
    const redirects = { max: MAX_REDIRECTS, follows: (status: number) => !accepts(status) };
    const answer = await requestUrl(url, {
      ...{ clock, deadlineMs: TRY_TIMEOUT_MS, signal, redirects, checkTarget },
    });
    if (accepts(answer.status)) return undefined;
    const { status, redirect } = answer;
    const elsewhere = redirect !== undefined && new URL(redirect).hostname !== new URL(answer.url).hostname;
    const why = elsewhere ? `, which leads to another host (${new URL(redirect).origin})` : '';
    return {
      reason: `GET ${showUrl(answer.url)} answered ${status}${why} (ready: ${formatStatuses(accepted)})`,
      answered: true,
    };
  } catch (error) {
    return { reason: `GET ${showUrl(url)}: ${describeFailure(error)}`, answered: false };
  }
}

/** The URL without user, password and query, which may be secret: anybody may read the status, which shows it. */
function showUrl(url: string): string {
  if (!URL.canParse(url)) return '(no URL)';
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}
