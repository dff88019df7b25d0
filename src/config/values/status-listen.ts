import { describeOrigin, type Origin } from '../../model/origin.ts';
import type { Settings } from '../../model/settings.ts';
import { parseBindAddress } from './address.ts';
import { accept, type Parsed, refuse, showValue } from './parsed.ts';

type StatusAddress = Exclude<Settings['status'], 'off'>;

/** Reads where the status server listens: `[address:]port`, or a bare port number. */
export function parseStatusListen(raw: unknown): Parsed<StatusAddress> {
  const wrong = refuse('invalid-value', `${showValue(raw)} is not [address:]port such as "0.0.0.0:8080"`);
  if (typeof raw !== 'string' && typeof raw !== 'number') return wrong;
  const match = /^(?:(\[[^\]]*\]|[^[\]:]*):)?([1-9]\d{0,4})$/.exec(String(raw));
  if (match === null) return wrong;
  const port = Number(match[2]);
  if (port > 65_535) return refuse('invalid-port', `${showValue(raw)}: port ${port} is outside 1–65535`);
  const host = match[1] ?? '';
  if (host === '') return accept({ address: '', port });
  const inner = host.startsWith('[') ? host.slice(1, -1) : host;
  const address = host.startsWith('[') === inner.includes(':') ? parseBindAddress(inner) : undefined;
  if (address === undefined) {
    return refuse(
      'invalid-address',
      `${showValue(raw)}: "${host}" is not an IP address (IPv6 goes in brackets)`,
    );
  }
  return accept({ address, port });
}

/** What says where the status server listens, for messages about whoever wants to listen there, too. */
export function describeStatusPlace(origin: Origin): string {
  return origin.kind === 'default'
    ? 'by default; status.listen can give it another place'
    : describeOrigin(origin);
}

/** The spelling that parseStatusListen reads back. */
export function formatStatusListen({ address, port }: StatusAddress): string {
  if (address === '') return String(port);
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
