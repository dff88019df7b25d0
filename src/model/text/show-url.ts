/**
 * What may be shown of a URL: scheme, host and port. User, path and query may be secrets, as a chat service's path is. All
 * of it is for text that may be mistyped: where it can't be told what the host is, that is not shown either.
 */
const START =
  /^([a-z][a-z0-9+.-]*:\/\/)([^/?#\\]*@)?((?:\[[0-9a-f:.]*\]|[a-z0-9._-]|\{\{container\}\})+(?::\d{1,5})?)(.*)$/is;
const SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i;
/** What may be a URL in other text, to its end. It is looked for at the begin of a word only, or long text takes quadratic time. */
const RUN = /(?<![a-z0-9+.-])[a-z0-9+.-]+:\/\/?\S*/gi;
/** What closes a value in YAML and JSON. */
const CLOSING = /["'\]},]*$/;
const FIELD = /((?:\burl|webhook_url|http_healthcheck)["']?\s*:\s*["']?)(\S+)/g;
/** `user:password@` of what should be a URL, and lacks its scheme. */
const USER = /[^\s"'{[,*]+:[^\s"']*@(?=[^\s"'])/g;
/** Secrets of lazy-tcp-proxy, which are no fields here, but stand in its files. */
const SECRET = /((?:api_key|basic_auth)["']?\s*:\s*)("[^"]*"?|'[^']*'?|[^\s,}]+)/g;

interface Parts {
  readonly scheme: string;
  readonly user: string;
  readonly host: string;
  readonly rest: string;
}

/** `https://user:password@host:1/path` → `https://host:1/…`; what has no scheme is `…`. Pure. */
export function showUrl(text: string): string {
  const parts = splitUrl(text);
  if (parts === undefined) return `${SCHEME.exec(text)?.[0] ?? ''}…`;
  const { scheme, host, rest } = parts;
  return `${scheme}${host}${rest === '' ? '' : '/…'}`;
}

/** Every URL in a text as showUrl() does. Pure. */
export function showUrls(text: string): string {
  return text.replaceAll(RUN, (run) => (run.includes('://') ? showUrl(run) : run));
}

/**
 * A line of a configuration file with `*` in place of what a URL, or the value of a field that takes one, must not show, and
 * of secrets; as long as before. Pure.
 */
export function maskUrls(line: string): string {
  const maskRun = (run: string) => {
    const closing = CLOSING.exec(run)?.[0] ?? '';
    return `${maskUrl(run.slice(0, run.length - closing.length))}${closing}`;
  };
  return line
    .replaceAll(FIELD, (_all, key: string, value: string) => `${key}${maskRun(value)}`)
    .replaceAll(RUN, maskRun)
    .replaceAll(USER, hide)
    .replaceAll(SECRET, (_all, key: string, value: string) => `${key}${hide(value)}`);
}

function maskUrl(text: string): string {
  const parts = splitUrl(text);
  if (parts !== undefined) {
    const { scheme, user, host, rest } = parts;
    return `${scheme}${hide(user)}${host}${rest.slice(0, 1)}${hide(rest.slice(1))}`;
  }
  const scheme = SCHEME.exec(text)?.[0] ?? '';
  return `${scheme}${hide(text.slice(scheme.length))}`;
}

function splitUrl(text: string): Parts | undefined {
  const [, scheme = '', user = '', host = '', rest = ''] = START.exec(text) ?? [];
  if (host === '' || !/^([/?#\\]|$)/.test(rest)) return undefined;
  // A password may hold a slash: then what comes before it is no host.
  return user === '' && rest.includes('@') ? undefined : { scheme, user, host, rest };
}

function hide(text: string): string {
  return '*'.repeat(text.length);
}
