/**
 * What an upstream gets to see of a request's headers, and who its client is. Pure. `Host` is kept; what a client says of
 * itself in `X-Forwarded-*` counts only where a trusted proxy hands it on.
 */
import { isHopByHop, type RawHeaders } from './hop-headers.ts';
import type { ReadRequest } from './read-request.ts';

/** Who sends a request, and for whom. */
export interface Sender {
  /** The address that the connection comes from. */
  readonly peer: string;
  /** Whether the peer is a proxy whose word counts. */
  readonly isTrusted: boolean;
  /** The address of the client itself: see `findClient`. */
  readonly client: string;
  readonly scheme: 'http' | 'https';
}

/** The headers that carry what the proxy checked itself. */
interface Login {
  /** `Authorization` was the proxy's. */
  readonly hasPassword: boolean;
  /** `X-API-Key` was the proxy's. */
  readonly hasKey: boolean;
}

const MEAN_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

/** The names under which an upstream may look for what the proxy says. Some frameworks take `_` for `-`. */
const SAID_BY_PROXY = /^(x[-_]forwarded[-_].*|x[-_]real[-_]ip|forwarded)$/;

/**
 * The address of the client that a request comes from: the peer, or, where that is a trusted proxy, the last address of
 * `X-Forwarded-For` (`Forwarded` where there is none) that is no trusted proxy itself.
 */
export function findClient(
  headers: RawHeaders,
  { peer, isTrusted }: { readonly peer: string; readonly isTrusted: (address: string) => boolean },
): string {
  if (!isTrusted(peer)) return peer;
  const chain = forwardedFor(headers);
  let client = peer;
  for (const address of chain.toReversed()) {
    if (address === undefined) break;
    client = address;
    if (!isTrusted(address)) break;
  }
  return client;
}

/** Whether the client came by HTTPS, as a trusted proxy says: the first proxy's word is that of the client's own connection. */
export function cameByHttps(headers: RawHeaders): boolean {
  const [ofX] = valuesOf(headers, 'x-forwarded-proto');
  if (ofX !== undefined) return ofX.toLowerCase() === 'https';
  const [element = ''] = valuesOf(headers, 'forwarded');
  return /(?:^|;)\s*proto="?https"?\s*(?:;|$)/i.test(element);
}

/** The addresses that proxies have noted, the client's first; undefined for what is no address. */
function forwardedFor(headers: RawHeaders): readonly (string | undefined)[] {
  const ofX = valuesOf(headers, 'x-forwarded-for');
  if (ofX.length > 0) return ofX.map(readAddress);
  return valuesOf(headers, 'forwarded').map((element) => {
    const [, quoted, plain] = /(?:^|;)\s*for=(?:"([^"]*)"|([^;,\s]*))/i.exec(element) ?? [];
    return readAddress(quoted ?? plain ?? '');
  });
}

/** The elements of all headers of a name. @param name in lower case */
function valuesOf(headers: RawHeaders, name: string): readonly string[] {
  const values: string[] = [];
  for (let index = 0; index < headers.length; index += 2)
    if (headers[index]?.toLowerCase() === name) values.push(...(headers[index + 1] ?? '').split(','));
  return values.map((value) => value.trim());
}

/** `10.0.0.5`, `10.0.0.5:4242`, `2001:db8::1`, `[2001:db8::1]:4242` */
function readAddress(text: string): string | undefined {
  const [, six, four, bare] =
    /^(?:\[([0-9a-f:.]+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+)(?::\d+)?|([0-9a-f:.]*:[0-9a-f:.]*))$/i.exec(text) ??
    [];
  return (six ?? four ?? bare)?.toLowerCase();
}

/** The headers that go to the upstream, with those that delimit the body. */
export function forwardHeaders(request: ReadRequest, sender: Sender, login?: Login): string[] {
  const { headers, connection, hostHeader } = request;
  const kept: string[] = [];
  let [chain, proto, host, realIp, forwarded] = ['', '', '', '', ''];
  let [hasHost, hasLength] = [false, false];
  for (let index = 0; index < headers.length; index += 2) {
    const [name = '', value = ''] = [headers[index], headers[index + 1]];
    const lower = name.toLowerCase();
    if (isHopByHop(lower, connection)) continue;
    if (lower === 'host') hasHost = true;
    else if (lower === 'content-length') hasLength = true;
    // Only behind chunks can trailers follow.
    else if (lower === 'trailer' && request.body !== 'chunked') continue;
    if (lower === 'authorization' && login?.hasPassword) continue;
    if (isKey(lower) && login?.hasKey) continue;
    if (!mayBeSaidByProxy(lower) || !SAID_BY_PROXY.test(lower)) {
      kept.push(name, value);
      continue;
    }
    if (!sender.isTrusted || lower.includes('_')) continue;
    if (lower === 'x-forwarded-for') chain = chain === '' ? value : `${chain}, ${value}`;
    else if (lower === 'x-forwarded-proto') proto = value;
    else if (lower === 'x-forwarded-host') host = value;
    else if (lower === 'x-real-ip') realIp = value;
    else if (lower === 'forwarded') forwarded = forwarded === '' ? value : `${forwarded}, ${value}`;
    else kept.push(name, value);
  }
  if (!hasHost) kept.push('Host', hostHeader);
  const { peer, client, scheme } = sender;
  kept.push('X-Forwarded-For', chain === '' ? peer : `${chain}, ${peer}`);
  kept.push('X-Forwarded-Proto', proto === '' ? scheme : proto);
  kept.push('X-Forwarded-Host', host === '' ? hostHeader : host);
  kept.push('X-Real-IP', realIp === '' ? client : realIp);
  if (forwarded !== '') kept.push('Forwarded', `${forwarded}, ${describeForwarded(sender)}`);
  if (request.body === 'chunked') kept.push('Transfer-Encoding', 'chunked');
  // These methods mean a body; where there is none, that is said.
  else if (request.body === 'none' && !hasLength && MEAN_BODY.has(request.method))
    kept.push('Content-Length', '0');
  return kept;
}

/** A quick look, since the expression is slow. */
function mayBeSaidByProxy(name: string): boolean {
  return name.startsWith('x') || name.startsWith('forw');
}

function isKey(name: string): boolean {
  return name === 'x-api-key' || name === 'x_api_key';
}

function describeForwarded({ peer, scheme }: Sender): string {
  return `for=${peer.includes(':') ? `"[${peer}]"` : peer};proto=${scheme}`;
}
