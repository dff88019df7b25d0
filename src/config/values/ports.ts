import { describeOrigin, type Origin } from '../../model/origin.ts';
import type { ListenerSpec, Protocol, TargetPort } from '../../model/service.ts';
import type { Settings } from '../../model/settings.ts';
import { parseBindAddress } from './address.ts';
import { isPortName } from './kubernetes-names.ts';
import {
  accept,
  hintAtList,
  isMapping,
  type Parsed,
  parseList,
  type Reading,
  refuse,
  showValue,
} from './parsed.ts';

const MAX_PORT = 65_535;
const SHAPE = /^(?:(\[[^\]]*\]|[^[\]:]*):)?(\d+)(?:-(\d+))?:(?:(\d+)(?:-(\d+))?|([^[\]:]+))$/;

type StatusAddress = Exclude<Settings['status'], 'off'>;

interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** What a value may be, by where it stands. */
export interface ValueContext {
  /** Whether a target port may be the name of a Kubernetes Service's port. */
  readonly portNames?: boolean;
  /** Whether it is a label's, which may name no file of the proxy's. */
  readonly ofLabel?: boolean;
}

/**
 * Reads `[address:]listen:target`, where both may be ranges of equal length; one listener per port. White space around each
 * part is left out.
 */
export function parsePort(
  raw: unknown,
  protocol: Protocol,
  { portNames = false }: ValueContext = {},
): Parsed<readonly ListenerSpec[]> {
  const match = typeof raw === 'string' ? SHAPE.exec(closeUp(raw)) : null;
  const name = match?.[6];
  if (match === null || (name !== undefined && !(portNames && isPortName(name)))) {
    return refuse(
      'invalid-port',
      `${showValue(raw)} is not [address:]listen:target${hint(raw, { name, portNames, protocol })}`,
    );
  }
  const address = readBracketed(match[1]);
  if (address === undefined) {
    return refuse(
      'invalid-address',
      `${showValue(raw)}: "${match[1]}" is not an IP address${hintAtAddress(String(raw), match[1] ?? '')}`,
    );
  }
  const listen = readRange(match[2], match[3]);
  if (!listen.ok) return refuse(listen.code, `${showValue(raw)}: ${listen.message}`);
  const targets = readTargets(match, listen.value);
  if (!targets.ok) return refuse(targets.code, `${showValue(raw)}: ${targets.message}`);
  return accept(
    targets.value.map((targetPort, index) => ({
      protocol,
      address,
      port: listen.value.first + index,
      targetPort,
    })),
  );
}

/** Leaves out the white space around the parts of a port. Linear in the text. */
function closeUp(text: string): string {
  // An address in brackets has colons of its own.
  const end = text.indexOf(']') + 1;
  const parts = text.slice(end).split(':');
  return `${text.slice(0, end).trimStart()}${parts.map((part) => part.trim()).join(':')}`;
}

/**
 * How many listeners entries of `ports` ask for, without making them: a short text can stand for more than there is memory
 * for. What can't be read counts as one.
 */
export function countListeners(items: readonly unknown[]): number {
  return items.reduce<number>((sum, item) => {
    const [, first, last] = (typeof item === 'string' && /(\d{1,5})-(\d{1,5}):/.exec(closeUp(item))) || [];
    const length = Number(last) <= MAX_PORT ? Number(last) - Number(first) + 1 : 1;
    return sum + Math.max(1, length);
  }, 0);
}

/** Reads a target port: its number, or its name where `portNames` says so. */
export function parseTargetPort(raw: unknown, { portNames = false }: ValueContext = {}): Parsed<TargetPort> {
  if (typeof raw === 'number' && Number.isInteger(raw) && raw >= 1 && raw <= MAX_PORT) return accept(raw);
  if (typeof raw === 'string' && portNames && isPortName(raw)) return accept(raw);
  const [digits] = (typeof raw === 'string' && /^\d{1,5}$/.exec(raw)) || [];
  const remedy =
    digits !== undefined
      ? `; write ${Number(digits)}, without quotes`
      : typeof raw === 'string' && isPortName(raw)
        ? "; a port's name can be used for Kubernetes workloads only"
        : '';
  const expected = portNames
    ? 'a port from 1 to 65535, or its name in the Service'
    : 'a port from 1 to 65535';
  return refuse('invalid-port', `${showValue(raw)} is not ${expected}${remedy}`);
}

/** Reads where the status server listens: `[address:]port`, or a bare port number. */
export function parseStatusListen(raw: unknown): Parsed<StatusAddress> {
  const remedy = raw === 'off' || raw === false ? '; to turn the server off, write status: off' : '';
  return parseListen(raw, { example: '0.0.0.0:8080', remedy });
}

/** The remedy for a place to listen that stands in place of the mapping that has one. */
export function hintAtPlace(key: 'http' | 'status', raw: unknown): string {
  const isPlace = parseListen(raw, { example: '' }).ok;
  return isPlace ? `; write ${key}: {listen: ${JSON.stringify(String(raw))}}` : '';
}

/** Reads where front doors listen: `[address:]port`, or a list of these. */
export function parseFrontListen(raw: unknown): Reading<readonly StatusAddress[]> {
  const items = Array.isArray(raw) ? raw : [raw];
  const parsed = parseList(items, (item) => parseListen(item, { example: '0.0.0.0:80' }));
  if (Array.isArray(raw) || parsed.ok || !('faults' in parsed)) return parsed;
  return { ok: false, faults: parsed.faults.map((fault) => ({ ...fault, path: [] })) };
}

/** The spelling that parseFrontListen reads back. */
export function formatFrontListen(places: readonly StatusAddress[]): readonly string[] {
  return places.map(formatStatusListen);
}

function parseListen(
  raw: unknown,
  { example, remedy = '' }: { readonly example: string; readonly remedy?: string },
): Parsed<StatusAddress> {
  const wrong = refuse(
    'invalid-value',
    `${showValue(raw)} is not [address:]port such as "${example}"${remedy}`,
  );
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
      `${showValue(raw)}: "${host}" is not an IP address${hintAtAddress(String(raw), host)}`,
    );
  }
  return accept({ address, port });
}

/** Says what gave the status server its place, for messages about a service that wants to listen there, too. */
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

/** The target of each listen port. */
function readTargets(match: RegExpExecArray, listen: PortRange): Parsed<readonly TargetPort[]> {
  const [, , , , first, last, name] = match;
  const length = rangeLength(listen);
  if (name !== undefined) {
    const message = `${length} listen ports and the name of one target port; a name can't stand for a range`;
    return length === 1 ? accept([name]) : refuse('invalid-port', message);
  }
  const target = readRange(first, last);
  if (!target.ok) return target;
  if (length !== rangeLength(target.value)) {
    const message = `${length} listen ports and ${rangeLength(target.value)} target ports; both ranges must have the same length`;
    return refuse('invalid-port', message);
  }
  return accept(Array.from({ length }, (_, index) => target.value.first + index));
}

/** Writes listeners as the file does, in their order; neighbouring ports become ranges. */
export function formatPorts(listeners: readonly ListenerSpec[]): readonly string[] {
  const runs: { start: ListenerSpec; length: number }[] = [];
  for (const listener of listeners) {
    const run = runs.at(-1);
    if (run !== undefined && continuesRun(run, listener)) run.length += 1;
    else runs.push({ start: listener, length: 1 });
  }
  return runs.map(formatRun);
}

function continuesRun(
  run: { readonly start: ListenerSpec; readonly length: number },
  next: ListenerSpec,
): boolean {
  const { start, length } = run;
  return (
    typeof start.targetPort === 'number' &&
    start.address === next.address &&
    start.port + length === next.port &&
    start.targetPort + length === next.targetPort
  );
}

function formatRun({ start, length }: { readonly start: ListenerSpec; readonly length: number }): string {
  const { targetPort } = start;
  const prefix =
    start.address === '' ? '' : `${start.address.includes(':') ? `[${start.address}]` : start.address}:`;
  if (length === 1 || typeof targetPort === 'string') return `${prefix}${start.port}:${targetPort}`;
  return `${prefix}${start.port}-${start.port + length - 1}:${targetPort}-${targetPort + length - 1}`;
}

/** The remedy for the commonest mistakes: a single port, an address without brackets, a name where only a number can be. */
function hint(
  raw: unknown,
  {
    name,
    portNames,
    protocol,
  }: { readonly name: string | undefined; readonly portNames: boolean; readonly protocol: Protocol },
): string {
  if (isMapping(raw)) return hintAtMapping(raw, protocol);
  if (name !== undefined && isPortName(name)) {
    return "; a port's name can be used for Kubernetes workloads only";
  }
  const text = String(raw).trim();
  if ((typeof raw === 'string' || typeof raw === 'number') && /^[1-9]\d{0,4}$/.test(text)) {
    return `; write "${text}:${text}"`;
  }
  const [, address, port] = /^(\d+(?:\.\d+){3}):([1-9]\d{0,4})$/.exec(text) ?? [];
  if (typeof raw === 'string' && port !== undefined) return `; write "${address}:${port}:${port}"`;
  if (typeof raw === 'string' && /\/(tcp|udp)$/i.test(text))
    return '; TCP goes under ports, UDP under udp_ports';
  if (typeof raw === 'string' && (raw.match(/:/g) ?? []).length > 2 && !raw.includes('[')) {
    return '; an IPv6 address goes in brackets: "[::1]:80:80"';
  }
  if (name !== undefined && portNames) {
    return `; a target is a port's number, or its name in the Service: at most 63 of a-z, 0-9 and "-"`;
  }
  return '';
}

/** The remedy for `22: 22`, which lacks its quotes or has a space too many, and for Compose's long form of a port. */
function hintAtMapping(raw: Readonly<Record<string, unknown>>, protocol: Protocol): string {
  const keys = Object.keys(raw);
  const [only = ''] = keys;
  const isLong = Object.hasOwn(raw, 'target');
  const target = plain(raw[isLong ? 'target' : only]);
  const listen = isLong ? plain(raw['published'] ?? raw['target']) : only;
  const host = isLong ? plain(raw['host_ip']) : '';
  const text = `${host === '' ? '' : `${host.includes(':') ? `[${host}]` : host}:`}${listen}:${target}`;
  if ((!isLong && keys.length !== 1) || !SHAPE.test(text)) return '; write it as text, "listen:target"';
  const written = isLong ? raw['protocol'] : protocol;
  const isOther = (written === 'tcp' || written === 'udp') && written !== protocol;
  return `; write "${text}"${isOther ? ` under ${written === 'udp' ? 'udp_ports' : 'ports'}` : ''}`;
}

function plain(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

/** The remedy for an address that is none, at the begin of `text`. */
function hintAtAddress(text: string, host: string): string {
  const rest = text.slice(host.length + 1);
  if (host.toLowerCase() === 'localhost') return `; write "127.0.0.1:${rest}"`;
  if (host === '*' || host === '') return `; write "${rest}" to listen on all`;
  // As `ports:` has it.
  if (/^\d+$/.test(host)) return `; there is no target port here: write "${host}"`;
  return ' (IPv6 goes in brackets)';
}

/** The remedy for ports that are no list. */
export function hintAtPorts(raw: unknown): string {
  return typeof raw === 'number' ? `; write ["${raw}:${raw}"] for a port` : hintAtList(raw);
}

function readBracketed(text: string | undefined): string | undefined {
  if (text === undefined) return '';
  const bracketed = text.startsWith('[');
  const inner = bracketed ? text.slice(1, -1) : text;
  return bracketed === inner.includes(':') ? parseBindAddress(inner) : undefined;
}

function readRange(first: string | undefined, last: string | undefined): Parsed<PortRange> {
  for (const text of [first, last]) {
    if (text === undefined) continue;
    if (text.length > 1 && text.startsWith('0'))
      return refuse('invalid-port', `port ${text} has a leading zero`);
    if (Number(text) < 1 || Number(text) > MAX_PORT) {
      return refuse('invalid-port', `port ${text} is outside 1–65535`);
    }
  }
  const range = { first: Number(first), last: Number(last ?? first) };
  if (range.last < range.first) {
    return refuse('invalid-port', `the range ${first}-${last} runs backwards; write ${last}-${first}`);
  }
  return accept(range);
}

function rangeLength(range: PortRange): number {
  return range.last - range.first + 1;
}
