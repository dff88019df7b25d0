/**
 * A watch's answer: bytes in, events out. JSON objects, one a line, cut anywhere by the transport. An event is
 * delivered only when its line is complete, so that whoever resumes behind the last one misses nothing.
 */
import { KubeUnreachable } from './kube-errors.ts';

const TYPES = ['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR'] as const;

export interface WatchEvent {
  readonly type: (typeof TYPES)[number];
  /** The object, whole; of a bookmark its metadata's version alone; of an error a status. */
  readonly object: unknown;
}

/** The API server takes objects of up to 3 MiB; without a bound a broken peer would fill the memory. */
const MAX_LINE_CHARS = 16 * 1024 * 1024;

/**
 * Ends where the stream ends behind a complete line.
 * @throws {KubeUnreachable} where it ends within a line; {Error} where a line is no event; what the stream throws.
 */
export async function* readWatch(stream: AsyncIterable<Uint8Array>): AsyncGenerator<WatchEvent> {
  const decoder = new TextDecoder();
  let pieces: string[] = [];
  let pieceChars = 0;
  for await (const chunk of stream) {
    const lines = decoder.decode(chunk, { stream: true }).split('\n');
    const rest = lines.pop() ?? '';
    for (const line of lines) {
      const event = parseEvent(pieces.join('') + line);
      pieces = [];
      pieceChars = 0;
      if (event !== undefined) yield event;
    }
    pieces.push(rest);
    pieceChars += rest.length;
    if (pieceChars > MAX_LINE_CHARS) throw new Error('a watch event is too long to be one');
  }
  if (pieces.join('').trim() !== '') throw new KubeUnreachable('the watch broke off within an event');
}

/** Undefined for an empty line, and for types that are not known. */
function parseEvent(line: string): WatchEvent | undefined {
  if (line.trim() === '') return undefined;
  const { type: name, object } = parseObject(line);
  const type = TYPES.find((candidate) => candidate === name);
  if (type === undefined) return undefined;
  if (typeof object !== 'object' || object === null) throw unreadable();
  return { type, object };
}

function parseObject(line: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(line)) as Record<string, unknown>;
  } catch (cause) {
    throw unreadable(cause);
  }
}

function unreadable(cause?: unknown): Error {
  return new Error('a watch event cannot be read', { cause });
}
