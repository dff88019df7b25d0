/**
 * What other programs call what this one has, too: Sablier, GoDoxy, Traefik, Caddy, systemd, and what comes to mind. Who knows the thing
 * under such a name is told ours; a slip of the finger is for `createSuggester`. Pure.
 */

/** Our field or setting, by another name for it, in lower case with `_`. */
const OURS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    idle_timeout: 'session_duration idle sleep_after',
    start_timeout: 'wake_timeout blocking_timeout',
    sleep: 'stop_method',
    hosts: 'domain domains rule url aliases',
    http_port: 'target_port container_port',
    http_healthcheck: 'health_check',
    waiting_page: 'theme',
    basic_auth: 'auth users',
    allow_list: 'whitelist',
    block_list: 'blacklist',
    awake: 'schedule window hours',
    depends_on: 'needs requires',
    tls: 'ssl cert certificate',
    webhooks: 'notifications ntfy',
    http: 'entrypoints',
  }).flatMap(([ours, others]) => others.split(' ').map((other) => [other, ours] as const)),
);

/** Words before a name that say whose it is. */
const PREFIX = /^(sablier|proxy|traefik|godoxy)[._-]/;

/** The one of the known names by which we call what is meant; undefined where nothing is known of it. */
export function findOurName(word: string, known: readonly string[]): string | undefined {
  const ours = OURS.get(word.toLowerCase().replace(PREFIX, '').replaceAll('-', '_'));
  return ours !== undefined && known.includes(ours) ? ours : undefined;
}
