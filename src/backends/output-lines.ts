/**
 * What a workload prints, as lines. Nobody vouches for it: it may be endless, hold secrets, and contain control characters for
 * terminals. Here it is bounded; the logger escapes it.
 */

/** Colours and the like, which mean something to a terminal alone. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what it is for
const COLOURS = /\u001b\[[\d;]*m/g;
const TAB_COLUMNS = 8;

/** A line as a terminal would show it, as far as that is text: without colours, with spaces up to the next tab stop for each tab. */
export function flattenLine(line: string): string {
  const plain = line.includes('\u001b') ? line.replace(COLOURS, '') : line;
  if (!plain.includes('\t')) return plain;
  const [first = '', ...rest] = plain.split('\t');
  return rest.reduce(
    (before, part) => `${before.padEnd((Math.floor(before.length / TAB_COLUMNS) + 1) * TAB_COLUMNS)}${part}`,
    first,
  );
}

/** Cuts a byte stream into lines as a terminal would show them; a program that never ends its line can't fill the memory. */
export class LineSplitter {
  readonly #decoder = new TextDecoder();
  readonly #maxLineChars: number;
  #rest = '';

  /** @param options.maxLineChars longer lines come in pieces of this length; at least 1. */
  constructor(options: { readonly maxLineChars: number }) {
    this.#maxLineChars = options.maxLineChars;
  }

  /** The lines that `chunk` completes, without their ends. */
  push(chunk: Uint8Array): readonly string[] {
    const lines = (this.#rest + this.#decoder.decode(chunk, { stream: true })).split('\n');
    const rest = lines.pop() ?? '';
    const wholePieces = Math.floor(rest.length / this.#maxLineChars) * this.#maxLineChars;
    this.#rest = rest.slice(wholePieces);
    return [
      ...lines.flatMap((line) => this.#cut(line.endsWith('\r') ? line.slice(0, -1) : line)),
      ...(wholePieces === 0 ? [] : this.#cut(rest.slice(0, wholePieces))),
    ];
  }

  /** What the stream ended with, without an end of line. */
  end(): readonly string[] {
    const rest = this.#rest + this.#decoder.decode();
    this.#rest = '';
    return rest === '' ? [] : this.#cut(rest);
  }

  #cut(raw: string): string[] {
    const line = flattenLine(raw);
    if (line.length <= this.#maxLineChars) return [line];
    const pieces: string[] = [];
    for (let at = 0; at < line.length; at += this.#maxLineChars) {
      pieces.push(line.slice(at, at + this.#maxLineChars));
    }
    return pieces;
  }
}

/** Longer lines are cut where they are kept. */
const MAX_KEPT_CHARS = 1_000;

/** The last lines of many. */
export class LastLines {
  readonly #max: number;
  readonly #lines: string[] = [];

  /** @param options.max at least 1. */
  constructor(options: { readonly max: number }) {
    this.#max = options.max;
  }

  /** Oldest first. */
  get lines(): readonly string[] {
    return [...this.#lines];
  }

  push(line: string): void {
    this.#lines.push(line.length > MAX_KEPT_CHARS ? `${line.slice(0, MAX_KEPT_CHARS)}…` : line);
    if (this.#lines.length > this.#max) this.#lines.shift();
  }
}
