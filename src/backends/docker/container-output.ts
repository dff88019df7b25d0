import { parseTimestamp } from '../../system/clock.ts';
import type { OutputRequest } from '../backend.ts';
import { flattenLine, LastLines, LineSplitter } from '../output-lines.ts';
import type { EngineClient } from '../engine/engine-client.ts';
import type { InspectedContainer } from '../engine/engine-shapes.ts';

/** The last lines of a log may be of any length. */
const MAX_BYTES = 1024 * 1024;
const MAX_LINE_CHARS = 16 * 1024;
/** Of each frame of a log. */
const HEAD_BYTES = 8;
/** A quick program prints before the engine has noted its start. */
const START_SLACK_MS = 1_000;

type LogReader = Pick<EngineClient, 'inspect' | 'readLog'>;

/**
 * The last lines of what a container's last run, or its own health check, has printed.
 * @throws {EngineUnreachable | EngineRefusal} as where the log is kept elsewhere (logging driver `none`).
 */
export async function readContainerOutput(
  client: LogReader,
  options: OutputRequest & { readonly id: string },
): Promise<readonly string[]> {
  const { id, of, lines, signal } = options;
  const container = await client.inspect(id, signal);
  if (container === undefined) return [];
  const last = new LastLines({ max: lines });
  if (of === 'check') for (const line of listCheckOutput(container)) last.push(line);
  else await readLog(client, { container, lines, last, signal });
  return last.lines;
}

function listCheckOutput({ State }: InspectedContainer): readonly string[] {
  const text = State?.Health?.Log?.at(-1)?.Output ?? '';
  return text
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '')
    .map(flattenLine);
}

async function readLog(
  client: LogReader,
  options: {
    readonly container: InspectedContainer;
    readonly lines: number;
    readonly last: LastLines;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { container, lines, last, signal } = options;
  const sinceMs = parseTimestamp(container.State?.StartedAt ?? '') - START_SLACK_MS;
  const isRestarted = (container.RestartCount ?? 0) > 0;
  await client.readLog(container.Id, {
    ...{ lines, signal },
    // The output of an earlier run explains nothing, unless the engine has restarted the container since.
    sinceMs: isRestarted || !(sinceMs > 0) ? undefined : sinceMs,
    read: (log) => collect(container.Config?.Tty === true ? readPlain(log) : readFrames(log), last),
  });
}

/** Stops reading after 1 MiB. */
async function collect(pieces: AsyncIterable<Piece>, last: LastLines): Promise<void> {
  const splitters = new Map<number, LineSplitter>();
  let bytes = 0;
  for await (const { stream, data } of pieces) {
    const splitter = splitters.get(stream) ?? new LineSplitter({ maxLineChars: MAX_LINE_CHARS });
    splitters.set(stream, splitter);
    for (const line of splitter.push(data)) last.push(line);
    bytes += data.length;
    if (bytes > MAX_BYTES) break;
  }
  for (const splitter of splitters.values()) for (const line of splitter.end()) last.push(line);
}

interface Piece {
  readonly stream: number;
  readonly data: Uint8Array;
}

/** With a terminal, the log is the bytes themselves. */
async function* readPlain(log: AsyncIterable<Uint8Array>): AsyncGenerator<Piece> {
  for await (const data of log) yield { stream: 1, data };
}

/** Without a terminal, the log comes in frames: one byte for the stream, three empty ones, four for the length, then the bytes. */
async function* readFrames(log: AsyncIterable<Uint8Array>): AsyncGenerator<Piece> {
  let pending = Buffer.alloc(0);
  let stream = 1;
  let left = 0;
  for await (const chunk of log) {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= (left === 0 ? HEAD_BYTES : 1)) {
      if (left === 0) {
        stream = pending.readUInt8(0);
        left = pending.readUInt32BE(4);
        pending = pending.subarray(HEAD_BYTES);
        continue;
      }
      const data = pending.subarray(0, left);
      pending = pending.subarray(data.length);
      left -= data.length;
      yield { stream, data };
    }
  }
}
