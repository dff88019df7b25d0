/** Asks the API, below the place where the page is, with the token if it is known. */
import { schedule, setClockBy } from '../clock.ts';

const TOKEN_KEY = 'lazy-proxy token';
const MAX_ANSWER_MS = 20_000;

/** What the API refused, or what kept it from answering (`status` 0). */
export class ApiError extends Error {
  readonly status: number;
  /** Further members of the answer. */
  readonly members: Readonly<Record<string, unknown>>;

  constructor(status: number, detail: string, members: Readonly<Record<string, unknown>> = {}) {
    super(detail);
    this.status = status;
    this.members = members;
  }
}

/** The token, kept as long as the tab is open. */
export const token = {
  read(): string | undefined {
    try {
      return sessionStorage.getItem(TOKEN_KEY) ?? undefined;
    } catch {
      return undefined;
    }
  },
  /** Undefined forgets it. */
  keep(value: string | undefined): void {
    try {
      if (value === undefined) sessionStorage.removeItem(TOKEN_KEY);
      else sessionStorage.setItem(TOKEN_KEY, value);
    } catch {
      // A browser that keeps nothing asks each time.
    }
  },
};

/** @param path without a slash in front: it is looked for beside the page, which may be behind a sub-path. @throws {ApiError} */
export async function askJson<T>(
  path: string,
  options: { readonly method?: 'GET' | 'POST'; readonly shown?: string } = {},
): Promise<T> {
  const limit = new AbortController();
  const cancel = schedule(MAX_ANSWER_MS, () => limit.abort());
  try {
    const response = await send(path, { ...options, signal: limit.signal });
    const text = await response.text();
    return (text === '' ? undefined : JSON.parse(text)) as T;
  } catch (error) {
    throw error instanceof ApiError ? error : new ApiError(0, 'the proxy does not answer');
  } finally {
    cancel();
  }
}

/** @throws {ApiError} where the answer is none of success; whatever `fetch` throws where there is none. */
export async function send(
  path: string,
  {
    method = 'GET',
    signal,
    headers = {},
    shown = token.read(),
  }: {
    readonly method?: 'GET' | 'POST';
    readonly signal: AbortSignal;
    readonly headers?: Readonly<Record<string, string>>;
    /** The token; default: the one that is kept. */
    readonly shown?: string | undefined;
  },
): Promise<Response> {
  const authorization = shown === undefined ? {} : { authorization: `Bearer ${shown}` };
  const response = await fetch(path, {
    method,
    signal,
    cache: 'no-store',
    headers: { ...headers, ...authorization },
  });
  setClockBy(response.headers.get('date'));
  if (response.ok) return response;
  const body = await response.text();
  throw describeRefusal(response.status, body);
}

function describeRefusal(status: number, body: string): ApiError {
  try {
    const { detail, title, ...members } = JSON.parse(body) as { detail?: string; title?: string };
    return new ApiError(status, detail ?? title ?? `status ${status}`, members);
  } catch {
    return new ApiError(
      status,
      body.length > 0 && body.length < 300 ? body : `it answered with status ${status}`,
    );
  }
}

/** The name in the query, since some reverse proxies decode `%2F` in paths. */
export function servicePath(name: string, action?: string): string {
  const path = action === undefined ? 'api/services' : `api/services/-/${action}`;
  return `${path}?service=${encodeURIComponent(name)}`;
}
