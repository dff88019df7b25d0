import { join } from 'node:path';
import { showUrls } from '../../model/text/show-url.ts';

/** Where the engine listens, as a value. */
export type EngineAddress =
  | { readonly kind: 'socket'; readonly path: string }
  | {
      readonly kind: 'tcp';
      readonly host: string;
      readonly port: number;
      readonly tls: EngineTls | undefined;
    };

export interface EngineTls {
  /** Folder of `ca.pem`, `cert.pem` and `key.pem`; undefined = the system's authorities and no client certificate. */
  readonly certFolder: string | undefined;
  /** Whether the engine's certificate is checked. */
  readonly verify: boolean;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** The ports of Docker's own client where a `tcp://` address names none. */
const PLAIN_PORT = 2375;
const TLS_PORT = 2376;

/**
 * Reads a socket's path or an address as in `DOCKER_HOST`; `env` supplies `DOCKER_TLS_VERIFY`, `DOCKER_CERT_PATH`,
 * `DOCKER_CONFIG` and `HOME`, with the meaning they have for Docker's own client.
 * @throws {Error} where the address is of a kind that can't be reached.
 */
export function parseEngineAddress(address: string, env: Environment): EngineAddress {
  if (address.startsWith('unix://')) return socketAddress(address.slice('unix://'.length), address);
  const text = /^[^/]+:\d+$/.test(address) ? `tcp://${address}` : address;
  if (!text.includes('://')) return socketAddress(text, address);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const scheme = text.slice(0, text.indexOf('://'));
  if (url === undefined || url.hostname === '' || !['tcp', 'http', 'https'].includes(scheme))
    throw unusable(address);
  if (!['', '/'].includes(url.pathname)) throw unusable(address);
  const tls = scheme === 'http' ? undefined : chooseTls(scheme, env);
  return { kind: 'tcp', host: url.hostname, port: choosePort(url, scheme, tls), tls };
}

function socketAddress(path: string, address: string): EngineAddress {
  if (path === '') throw unusable(address);
  return { kind: 'socket', path };
}

/** As Docker's client libraries: a certificate folder alone encrypts without checking the other side. */
function chooseTls(scheme: string, env: Environment): EngineTls | undefined {
  const verifyWanted = (env['DOCKER_TLS_VERIFY'] ?? '') !== '';
  const namedFolder = env['DOCKER_CERT_PATH'] || undefined;
  if (scheme !== 'https' && !verifyWanted && namedFolder === undefined) return undefined;
  const configFolder = env['DOCKER_CONFIG'] || (env['HOME'] ? join(env['HOME'], '.docker') : undefined);
  return {
    certFolder: namedFolder ?? (verifyWanted ? configFolder : undefined),
    verify: verifyWanted || namedFolder === undefined,
  };
}

function choosePort(url: URL, scheme: string, tls: EngineTls | undefined): number {
  if (url.port !== '') return Number(url.port);
  if (scheme === 'http') return 80;
  if (scheme === 'https') return 443;
  return tls === undefined ? PLAIN_PORT : TLS_PORT;
}

function unusable(address: string): Error {
  return new Error(
    `cannot use "${showUrls(address)}" as the engine's address: it must be a socket's path, unix://path, ` +
      'tcp://host:port, http://host:port or https://host:port',
  );
}
