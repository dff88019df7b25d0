import type { ListenerSpec, Protocol } from '../model/service.ts';
import { parseBindAddress } from './address.ts';
import { accept, type Parsed, refuse, showValue } from './parsed.ts';

const MAX_PORT = 65_535;
const SHAPE = /^(?:(\[[^\]]*\]|[^[\]:]*):)?(\d+)(?:-(\d+))?:(\d+)(?:-(\d+))?$/;

interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** Reads `[address:]listen:target`, where both may be ranges of equal length; one listener per port. */
export function parsePort(raw: unknown, protocol: Protocol): Parsed<readonly ListenerSpec[]> {
  const match = typeof raw === 'string' ? SHAPE.exec(raw) : null;
  if (match === null)
    return refuse('invalid-port', `${showValue(raw)} is not [address:]listen:target${hint(raw)}`);
  const address = readBracketed(match[1]);
  if (address === undefined) {
    return refuse(
      'invalid-address',
      `${showValue(raw)}: "${match[1]}" is not an IP address (IPv6 goes in brackets)`,
    );
  }
  const listen = readRange(match[2], match[3]);
  const target = readRange(match[4], match[5]);
  if (!listen.ok) return refuse(listen.code, `${showValue(raw)}: ${listen.message}`);
  if (!target.ok) return refuse(target.code, `${showValue(raw)}: ${target.message}`);
  const length = rangeLength(listen.value);
  if (length !== rangeLength(target.value)) {
    return refuse(
      'invalid-port',
      `${showValue(raw)}: ${length} listen ports and ${rangeLength(target.value)} target ports; both ranges must have the same length`,
    );
  }
  return accept(
    Array.from({ length }, (_, index) => ({
      protocol,
      address,
      port: listen.value.first + index,
      targetPort: target.value.first + index,
    })),
  );
}

/** Listeners in the file's spelling; runs of neighbours become ranges, the order is kept. */
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
    start.address === next.address &&
    start.port + length === next.port &&
    start.targetPort + length === next.targetPort
  );
}

function formatRun({ start, length }: { readonly start: ListenerSpec; readonly length: number }): string {
  const prefix =
    start.address === '' ? '' : `${start.address.includes(':') ? `[${start.address}]` : start.address}:`;
  if (length === 1) return `${prefix}${start.port}:${start.targetPort}`;
  return `${prefix}${start.port}-${start.port + length - 1}:${start.targetPort}-${start.targetPort + length - 1}`;
}

/** The commonest mistakes: a lone port, and an address without brackets. */
function hint(raw: unknown): string {
  const text = String(raw);
  if ((typeof raw === 'string' || typeof raw === 'number') && /^[1-9]\d{0,4}$/.test(text)) {
    return `; write "${text}:${text}"`;
  }
  if (typeof raw === 'string' && /\/(tcp|udp)$/i.test(raw))
    return '; TCP goes under ports, UDP under udp_ports';
  if (typeof raw === 'string' && (raw.match(/:/g) ?? []).length > 2 && !raw.includes('[')) {
    return '; an IPv6 address goes in brackets: "[::1]:80:80"';
  }
  return '';
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
