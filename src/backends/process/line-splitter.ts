/** Puts the lines of a byte stream together; what a program prints without an end of line can't fill the memory. */
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

  #cut(line: string): string[] {
    if (line.length <= this.#maxLineChars) return [line];
    const pieces: string[] = [];
    for (let at = 0; at < line.length; at += this.#maxLineChars) {
      pieces.push(line.slice(at, at + this.#maxLineChars));
    }
    return pieces;
  }
}
