/**
 * The engine's event stream: bytes in, events out. Events are JSON objects, one a line; the transport may cut them anywhere. A
 * line that can't be read is skipped.
 */

/** One event, in the fields that every engine version has. */
export interface EngineEvent {
  readonly type: string;
  /** `start`, `health_status: healthy` … */
  readonly action: string;
  /** Of the container or the network. */
  readonly id: string;
  /** Of a container: its labels, `name`, `image`, and what the action adds. */
  readonly attributes: Readonly<Record<string, string>>;
  /** By the engine's clock, in ns since the epoch, rounded as a number is; absent where the engine tells no time. */
  readonly timeNs?: number;
}

/** A line longer than this is no event of ours; without a bound a broken peer would fill the memory. */
const MAX_LINE_CHARS = 1024 * 1024;

/** Puts lines together again from chunks of bytes. */
export class EventSplitter {
  readonly #decoder = new TextDecoder();
  #rest = '';
  #skipping = false;

  /** The events that `chunk` completes. */
  push(chunk: Uint8Array): readonly EngineEvent[] {
    const lines = (this.#rest + this.#decoder.decode(chunk, { stream: true })).split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#skipping && lines.length > 0) {
      lines.shift();
      this.#skipping = false;
    }
    if (this.#rest.length > MAX_LINE_CHARS) this.#skipping = true;
    if (this.#skipping) this.#rest = '';
    return lines.map(parseEvent).filter((event) => event !== undefined);
  }
}

/** One line of the stream; undefined where it holds no event. */
export function parseEvent(line: string): EngineEvent | undefined {
  const { Type: type, Action: action, Actor: actor, timeNano: timeNs } = parseObject(line);
  if (typeof type !== 'string' || typeof action !== 'string') return undefined;
  const { ID: id, Attributes: attributes } = Object(actor) as Record<string, unknown>;
  if (typeof id !== 'string') return undefined;
  const pairs = Object.entries(Object(attributes)).filter(
    (pair): pair is [string, string] => typeof pair[1] === 'string',
  );
  const event = { type, action, id, attributes: Object.fromEntries(pairs) };
  return typeof timeNs === 'number' ? { ...event, timeNs } : event;
}

/** Reads `stream` to its end. @throws what the stream throws. */
export async function readEvents(
  stream: AsyncIterable<Uint8Array>,
  onEvent: (event: EngineEvent) => void,
): Promise<void> {
  const splitter = new EventSplitter();
  for await (const chunk of stream) for (const event of splitter.push(chunk)) onEvent(event);
}

function parseObject(line: string): Record<string, unknown> {
  // A JSON text sequence puts a record separator before each object.
  const text = line.startsWith('\u001e') ? line.slice(1) : line;
  try {
    return Object(JSON.parse(text)) as Record<string, unknown>;
  } catch {
    return {};
  }
}
