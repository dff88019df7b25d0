/**
 * The greeting with which a client begins TLS (RFC 8446, 4.1.2). Input: the first bytes of a connection. Output: the name of the
 * server that it asks for (SNI). Guarantees: pure, nothing thrown for any bytes, and never more than `MAX_HELLO_BYTES` asked for.
 */

/** Clients send less than 3 KiB, with keys that withstand quantum computers. */
export const MAX_HELLO_BYTES = 16_384;

const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const HOST_NAME = 0;
const RECORD_HEADER = 5;
const MESSAGE_HEADER = 4;

export type HelloReading =
  /** So far it is the begin of a greeting. */
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'malformed' }
  /** `serverName`: lower case, as it was sent otherwise; undefined where it names none. */
  | { readonly kind: 'hello'; readonly serverName: string | undefined };

const INCOMPLETE = { kind: 'incomplete' } as const;
const MALFORMED = { kind: 'malformed' } as const;

/** Reads the greeting at the begin of these bytes; it may be spread over several records. */
export function readClientHello(bytes: Buffer): HelloReading {
  const message = joinRecords(bytes);
  if (message === undefined) return MALFORMED;
  if (message.length > 0 && message[0] !== CLIENT_HELLO) return MALFORMED;
  const length = message.length < MESSAGE_HEADER ? undefined : message.readUIntBE(1, 3);
  if (length !== undefined && length > MAX_HELLO_BYTES) return MALFORMED;
  if (length === undefined || message.length < MESSAGE_HEADER + length)
    return bytes.length > MAX_HELLO_BYTES ? MALFORMED : INCOMPLETE;
  try {
    const body = message.subarray(MESSAGE_HEADER, MESSAGE_HEADER + length);
    return { kind: 'hello', serverName: findServerName(body) };
  } catch {
    // A length leads behind the end.
    return MALFORMED;
  }
}

/** What the handshake records hold that are there so far; undefined where they are none. */
function joinRecords(bytes: Buffer): Buffer | undefined {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (bytes[at] !== HANDSHAKE_RECORD) return at === 0 ? undefined : Buffer.concat(parts);
    if (bytes.length > at + 1 && bytes[at + 1] !== 3) return undefined;
    if (bytes.length < at + RECORD_HEADER) break;
    const end = at + RECORD_HEADER + bytes.readUInt16BE(at + 3);
    parts.push(bytes.subarray(at + RECORD_HEADER, end));
    at = end;
  }
  return Buffer.concat(parts);
}

/** @throws where a length leads behind the end. */
function findServerName(body: Buffer): string | undefined {
  // Version and random come first; then the session, the ciphers and the compressions, each behind its length.
  let at = 34;
  at += 1 + body.readUInt8(at);
  at += 2 + body.readUInt16BE(at);
  at += 1 + body.readUInt8(at);
  if (at >= body.length) return undefined;
  const end = at + 2 + body.readUInt16BE(at);
  for (at += 2; at < end; ) {
    const [type, length] = [body.readUInt16BE(at), body.readUInt16BE(at + 2)];
    at += 4;
    if (type === SERVER_NAME) {
      if (length === 0 || body.readUInt8(at + 2) !== HOST_NAME) return undefined;
      const size = body.readUInt16BE(at + 3);
      const name = body.subarray(at + 5, at + 5 + size);
      if (name.length < size || size === 0) return undefined;
      return name.toString('latin1').toLowerCase().replace(/\.$/, '');
    }
    at += length;
  }
  return undefined;
}
