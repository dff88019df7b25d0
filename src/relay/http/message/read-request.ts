/**
 * The look at a request's head before anything is done for it. Input: what the parser read. Output: what the proxy needs of
 * it, or why it is refused. Pure. Whatever two servers could read in two ways is refused, so that nobody smuggles a request
 * past the checks of this one: the parser lets some of that pass.
 */
import { parseHost } from './host-table.ts';
import { connectionTokens, type RawHeaders, splitList } from './hop-headers.ts';

/** As the parser has read it. */
export interface RequestHead {
  readonly method: string;
  /** The request target: `/path?query`, or a whole URL. */
  readonly target: string;
  /** `1.0`, `1.1`, or `h2` where it came by HTTP/2; the parser lets others pass. */
  readonly version: string;
  /** In HTTP/2 without those that begin with a colon. */
  readonly headers: RawHeaders;
  /** HTTP/2: the `:authority`. */
  readonly authority?: string | undefined;
  /** HTTP/2: whether nothing follows; there a body needs no header. */
  readonly isWhole?: boolean;
}

/** A request that may be served. */
export interface ReadRequest {
  readonly method: string;
  /** Begins with `/`, or is `*`. */
  readonly target: string;
  /** `target` without its query. */
  readonly path: string;
  readonly version: Version;
  readonly headers: RawHeaders;
  /** The host that it is for: see `NamedHost`. */
  readonly host: string;
  /** As the client wrote it, with its port: it is kept. */
  readonly hostHeader: string;
  /** How its body is delimited. */
  readonly body: 'none' | 'length' | 'chunked';
  /** What `Connection` names. */
  readonly connection: readonly string[];
  /** What the client wants to speak from now on; undefined where it doesn't, or doesn't say so in `Connection`. */
  readonly upgrade: string | undefined;
  readonly expectsContinue: boolean;
}

export interface RefusedRequest {
  readonly status: 400 | 405 | 417 | 501 | 505;
  /** Why, in words. */
  readonly refused: string;
}

/** The first value of a header; undefined where there is none. @param name in lower case */
export function headerOf(headers: RawHeaders, name: string): string | undefined {
  for (let index = 0; index < headers.length; index += 2) {
    const candidate = headers[index];
    if (candidate?.length === name.length && candidate.toLowerCase() === name) return headers[index + 1];
  }
  return undefined;
}

const VERSIONS = ['1.0', '1.1', 'h2'] as const;
type Version = (typeof VERSIONS)[number];

interface Found {
  host: string | undefined;
  hosts: number;
  length: string | undefined;
  lengths: number;
  coding: string | undefined;
  upgrade: string | undefined;
  expect: string | undefined;
}

export function readRequest(head: RequestHead): ReadRequest | RefusedRequest {
  const { method, headers } = head;
  const version = VERSIONS.find((known) => known === head.version);
  if (version === undefined) return refuse(505, `HTTP/${head.version} is not served here`);
  // A tunnel would lead past everything that is checked for each request, and TRACE shows what is added on the way.
  if (method === 'CONNECT' || method === 'TRACE') return refuse(405, `${method} is not served here`);
  const found = findHeaders(headers);
  if (found.hosts > 1) return refuse(400, 'there are two Host headers');
  const body = readFraming(found, head);
  if (typeof body !== 'string') return body;
  const place = readPlace(head, found);
  if ('refused' in place) return place;
  const expectsContinue = found.expect !== undefined && version !== '1.0';
  if (expectsContinue && found.expect?.trim().toLowerCase() !== '100-continue')
    return refuse(417, 'the proxy knows no expectation but 100-continue');
  const connection = connectionTokens(headers);
  const upgrade = version === '1.1' && connection.includes('upgrade') ? readUpgrade(found) : undefined;
  if (upgrade !== undefined && body !== 'none')
    return refuse(400, 'it has a body, and asks for another protocol');
  return { ...{ method, version, headers, ...place, body, connection, upgrade, expectsContinue } };
}

function findHeaders(headers: RawHeaders): Found {
  const found: Found = {
    ...{ host: undefined, hosts: 0, length: undefined, lengths: 0 },
    ...{ coding: undefined, upgrade: undefined, expect: undefined },
  };
  for (let index = 0; index < headers.length; index += 2) {
    const [name = '', value = ''] = [headers[index], headers[index + 1]];
    switch (name.length) {
      case 4:
        if (name.toLowerCase() !== 'host') break;
        found.hosts++;
        found.host = value;
        break;
      case 6:
        if (name.toLowerCase() === 'expect') found.expect = value;
        break;
      case 7:
        if (name.toLowerCase() === 'upgrade') found.upgrade = value;
        break;
      case 14:
        if (name.toLowerCase() !== 'content-length') break;
        found.lengths++;
        found.length = value;
        break;
      case 17:
        if (name.toLowerCase() !== 'transfer-encoding') break;
        found.coding = found.coding === undefined ? value : `${found.coding}, ${value}`;
        break;
    }
  }
  return found;
}

function readFraming(
  { length, lengths, coding }: Found,
  { version, isWhole = false }: RequestHead,
): ReadRequest['body'] | RefusedRequest {
  if (lengths > 1) return refuse(400, 'there are two Content-Length headers');
  if (length !== undefined && !/^\d{1,18}$/.test(length))
    return refuse(400, 'its Content-Length is no whole number');
  if (coding !== undefined) {
    if (version !== '1.1') return refuse(400, `HTTP/${version} has no Transfer-Encoding`);
    if (length !== undefined) return refuse(400, 'it has both Content-Length and Transfer-Encoding');
    const codings = splitList(coding);
    if (codings.length !== 1 || codings[0] !== 'chunked')
      return refuse(501, 'the proxy knows no Transfer-Encoding but chunked');
    return 'chunked';
  }
  if (version === 'h2' && length === undefined) return isWhole ? 'none' : 'chunked';
  return length === undefined || Number(length) === 0 ? 'none' : 'length';
}

/** HTTP/2 in the clear is not offered: in it, requests would go past every check. */
function readUpgrade({ upgrade }: Found): string | undefined {
  return upgrade === undefined || /\bh2c?\b/i.test(upgrade) ? undefined : upgrade;
}

/** For whom and what it is. */
function readPlace(
  { method, target, version, authority }: RequestHead,
  { host: ofHeader }: Found,
): Pick<ReadRequest, 'target' | 'path' | 'host' | 'hostHeader'> | RefusedRequest {
  const absolute = /^https?:\/\/([^/?#]*)(.*)$/is.exec(target);
  const [, ofTarget, rest = ''] = absolute ?? [];
  const given = ofTarget ?? authority;
  // HTTP/1.0 needs no Host, but without one nobody knows for whom it is.
  if (ofHeader === undefined && (given === undefined || version === '1.1'))
    return refuse(400, 'it has no Host header');
  const named = parseHost(ofHeader ?? given ?? '');
  if (named === undefined) return refuse(400, 'its Host is no host');
  if (given !== undefined && ofHeader !== undefined) {
    const other = parseHost(given);
    if (other?.host !== named.host || other.port !== named.port)
      return refuse(400, 'its target names another host than its Host header');
  }
  const asked = absolute === null ? target : rest.startsWith('/') ? rest : `/${rest}`;
  if (/[^\x21-\xff]/.test(asked)) return refuse(400, 'its target has characters that no target may have');
  if (asked.includes('#')) return refuse(400, 'its target has a fragment');
  if (!asked.startsWith('/') && !(asked === '*' && method === 'OPTIONS'))
    return refuse(400, 'its target is neither a path nor a URL');
  const query = asked.indexOf('?');
  const path = query < 0 ? asked : asked.slice(0, query);
  return { target: asked, path, host: named.host, hostHeader: ofHeader ?? given ?? '' };
}

function refuse(status: RefusedRequest['status'], refused: string): RefusedRequest {
  return { status, refused };
}
