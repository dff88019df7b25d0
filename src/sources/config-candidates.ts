import { isAbsolute, join, relative, sep } from 'node:path';
import type { Origin } from '../model/origin.ts';

/** Where the configuration file may be. */
export interface ConfigCandidates {
  /** The file that the user named; undefined = none named. */
  readonly named:
    | {
        readonly path: string;
        readonly origin: Origin;
        /** Whether it may be made later: it is waited for. lazy-tcp-proxy makes what CONFIG_PATH names. */
        readonly mayBeAbsent?: true;
      }
    | undefined;
  /** Absolute paths that are tried in this order when none is named; none of them needs to exist. */
  readonly candidates: readonly string[];
}

/** Where lazy-tcp-proxy has its file. */
export const FOREIGN_CONFIG_PATH = '/etc/lazy-tcp-proxy/config.yaml';

/**
 * The search order: `--config`, LAZY_PROXY_CONFIG, CONFIG_PATH, ./lazy-proxy.yaml, /etc/lazy-proxy/lazy-proxy.yaml,
 * /etc/lazy-tcp-proxy/config.yaml.
 */
export function configCandidates(options: {
  readonly flag?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}): ConfigCandidates {
  const candidates = [
    join(options.cwd, 'lazy-proxy.yaml'),
    '/etc/lazy-proxy/lazy-proxy.yaml',
    FOREIGN_CONFIG_PATH,
  ];
  const { flag } = options;
  if (flag !== undefined) {
    return { named: { path: flag, origin: { kind: 'flag', flag: '--config' } }, candidates };
  }
  for (const variable of ['LAZY_PROXY_CONFIG', 'CONFIG_PATH']) {
    const path = options.env[variable]?.trim() ?? '';
    if (path === '') continue;
    const named = { path, origin: { kind: 'environment', variable } as const };
    return { named: variable === 'CONFIG_PATH' ? { ...named, mayBeAbsent: true } : named, candidates };
  }
  return { named: undefined, candidates };
}

/** A path as messages show it: relative when it lies below `cwd`, else as it is. */
export function describeConfigPath(path: string, cwd: string): string {
  if (!isAbsolute(path)) return path;
  const below = relative(cwd, path);
  return below === '' || below === '..' || below.startsWith(`..${sep}`) || isAbsolute(below) ? path : below;
}
