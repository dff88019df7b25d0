/**
 * Reads what an upstream answers. Input: the bytes of its connection, cut anywhere, and what was asked. Output: the parts of one
 * answer after the other. Pure. As strict as Node's own parser of answers, which only its own client can use, and stricter about what
 * could be read in two ways: so no upstream makes a client see two answers where there is one (RFC 9112).
 */
import { type RawHeaders, splitList } from '../message/hop-headers.ts';

/** Of an answer, or of its trailers; Node's own limit is lower than what some applications send. */
const MAX_HEAD_BYTES = 65_536;
/** A chunk's size with its extensions. */
const MAX_SIZE_LINE_BYTES = 16_384;

export interface AnswerHead {
  readonly status: number;
  readonly message: string;
  readonly headers: RawHeaders;
}

/** Takes an answer's parts, in the order in which they come. */
export interface AnswerReader {
  /** An answer before the answer (1xx); 101 is one that nothing follows in HTTP. */
  onInformation(head: AnswerHead): void;
  onHead(head: AnswerHead): void;
  /** @param rest how many bytes of the body are still to come; undefined where the answer doesn't say. */
  onBody(chunk: Buffer, rest: number | undefined): void;
  /** The answer is whole. */
  onEnd(trailers: RawHeaders): void;
}

/** Not an answer by the rules of HTTP/1. */
export class MalformedAnswer extends Error {
  readonly code = 'malformed';
}

/** `switched`: what follows is of another protocol. */
type State = 'head' | 'length' | 'size' | 'chunk' | 'chunk-end' | 'trailers' | 'open' | 'done' | 'switched';

const NOTHING = Buffer.alloc(0);
const LINE_END = Buffer.from('\r\n');
const SECTION_END = Buffer.from('\r\n\r\n');
const BEGIN = 'HTTP/1.';

const STATUS_LINE = /HTTP\/1\.([01]) ([1-9]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?\r\n/y;
const FIELD = /([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t ]?([\t\x20-\x7e\x80-\xff]*)\r\n/y;
const SIZE_LINE =
  /^0*([0-9a-f]{1,13})(?:;[!#$%&'*+\-.^_`|~0-9a-z]+(?:=(?:[!#$%&'*+\-.^_`|~0-9a-z]+|"(?:[\t !#-[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"))?)*\r\n$/i;

/** Reads the answers that come on one connection; each begins with `begin()`. */
export class AnswerParser {
  #state: State = 'done';
  #reader: AnswerReader | undefined;
  #isHead = false;
  /** Of the body, or of a chunk of it, that is still to come. */
  #rest = 0;
  #keepsOpen = false;
  #hint: number | undefined;
  #data: Buffer = NOTHING;
  #at = 0;
  /** The begin of a section whose end has not come yet. */
  #held: Buffer | undefined;
  #heldBytes = 0;

  /** The next bytes are an answer. @param options.isHead whether it has no body, whatever its head says. */
  begin(reader: AnswerReader, { isHead }: { readonly isHead: boolean }): void {
    this.#reader = reader;
    this.#isHead = isHead;
    this.#state = 'head';
    this.#keepsOpen = false;
    this.#hint = undefined;
  }

  /** Whether the answer is whole. */
  get isDone(): boolean {
    return this.#state === 'done';
  }

  /** Whether another answer may come on this connection. */
  get keepsOpen(): boolean {
    return this.#keepsOpen;
  }

  /** For how long the upstream keeps its connection when it is idle, in s, where it says so. */
  get keepAliveSeconds(): number | undefined {
    return this.#hint;
  }

  /** Whether what follows is of another protocol. */
  get hasSwitched(): boolean {
    return this.#state === 'switched';
  }

  /** Reads on. @returns how many of these bytes belong to the answer. @throws {MalformedAnswer} */
  read(data: Buffer): number {
    this.#data = data;
    this.#at = 0;
    while (this.#at < data.length && this.#state !== 'done' && this.#state !== 'switched') this.#step();
    // Nothing may keep bytes that were handed on: they would grow old.
    this.#data = NOTHING;
    return this.#at;
  }

  /** The connection has ended. @throws {MalformedAnswer} where the answer is not whole. */
  finish(): void {
    if (this.#state !== 'open') throw new MalformedAnswer('the answer ends before it is whole');
    this.#end([]);
  }

  #step(): void {
    switch (this.#state) {
      case 'head':
        return this.#readHead();
      case 'length':
        this.#readBody();
        if (this.#rest === 0) this.#end([]);
        return;
      case 'size':
        return this.#readSize();
      case 'chunk':
        this.#readBody();
        if (this.#rest === 0) this.#state = 'chunk-end';
        return;
      case 'chunk-end': {
        const end = this.#takeUntil(LINE_END, 2);
        if (end !== undefined) this.#state = 'size';
        return;
      }
      case 'trailers':
        return this.#readTrailers();
      case 'open': {
        const chunk = this.#at === 0 ? this.#data : this.#data.subarray(this.#at);
        this.#at = this.#data.length;
        return this.#reader?.onBody(chunk, undefined);
      }
    }
  }

  #readBody(): void {
    const data = this.#data;
    const end = Math.min(data.length, this.#at + this.#rest);
    const chunk = this.#at === 0 && end === data.length ? data : data.subarray(this.#at, end);
    this.#rest -= end - this.#at;
    this.#at = end;
    this.#reader?.onBody(chunk, this.#state === 'length' ? this.#rest : undefined);
  }

  #readHead(): void {
    const text = this.#takeUntil(SECTION_END, MAX_HEAD_BYTES);
    if (text === undefined) return this.#checkBegin();
    STATUS_LINE.lastIndex = 0;
    const line = STATUS_LINE.exec(text);
    if (line === null) throw new MalformedAnswer('the answer does not begin with a status line of HTTP/1');
    const [, minor, code, message = ''] = line;
    const status = Number(code);
    const headers = readFields(text, STATUS_LINE.lastIndex);
    const head = { status, message, headers };
    if (status < 200) {
      if (status === 101) this.#state = 'switched';
      return this.#reader?.onInformation(head);
    }
    this.#readFraming(head, { isOld: minor === '0' });
    this.#reader?.onHead(head);
    if (this.#state === 'done') this.#end([]);
  }

  /** How the body is delimited, and whether the connection stays (RFC 9112, 6.3 and 9.3). */
  #readFraming({ status, headers }: AnswerHead, { isOld }: { readonly isOld: boolean }): void {
    let length: string | undefined;
    let coding: string | undefined;
    let connection = '';
    for (let index = 0; index < headers.length; index += 2) {
      const [name = '', value = ''] = [headers[index], headers[index + 1]];
      switch (name.length) {
        case 10:
          if (name.toLowerCase() === 'connection')
            connection = connection === '' ? value : `${connection},${value}`;
          else if (name.toLowerCase() === 'keep-alive') this.#hint = readHint(value);
          break;
        case 14:
          if (name.toLowerCase() !== 'content-length') break;
          if (length !== undefined) throw new MalformedAnswer('the answer has two Content-Length headers');
          length = value;
          break;
        case 17:
          if (name.toLowerCase() !== 'transfer-encoding') break;
          if (coding !== undefined) throw new MalformedAnswer('the answer has two Transfer-Encoding headers');
          coding = value;
          break;
      }
    }
    if (length !== undefined && !/^\d{1,15}$/.test(length))
      throw new MalformedAnswer('the Content-Length of the answer is no whole number');
    // What is coded in another way would reach the client without the header that says so.
    if (coding !== undefined && coding.toLowerCase() !== 'chunked')
      throw new MalformedAnswer('the answer has a Transfer-Encoding that is not chunked');
    if (coding !== undefined && length !== undefined)
      throw new MalformedAnswer('the answer has both Content-Length and Transfer-Encoding');
    const tokens = connection === '' ? [] : splitList(connection);
    this.#keepsOpen = !tokens.includes('close') && (!isOld || tokens.includes('keep-alive'));
    if (this.#isHead || status === 204 || status === 304) this.#state = 'done';
    else if (coding !== undefined) {
      this.#state = 'size';
      // A server of HTTP/1.0 knows no chunks: what it says of its connection doesn't count (RFC 9112, 6.1).
      if (isOld) this.#keepsOpen = false;
    } else if (length !== undefined) {
      this.#rest = Number(length);
      this.#state = this.#rest === 0 ? 'done' : 'length';
    } else {
      this.#state = 'open';
      this.#keepsOpen = false;
    }
  }

  #readSize(): void {
    const line = this.#takeUntil(LINE_END, MAX_SIZE_LINE_BYTES);
    if (line === undefined) return;
    const [, size] = SIZE_LINE.exec(line) ?? [];
    if (size === undefined) throw new MalformedAnswer('a chunk of the answer has no size');
    this.#rest = Number.parseInt(size, 16);
    this.#state = this.#rest === 0 ? 'trailers' : 'chunk';
    if (this.#rest > 0) return;
    // Then an empty line ends the trailers also where there are none.
    this.#hold(LINE_END, MAX_HEAD_BYTES);
  }

  #readTrailers(): void {
    const text = this.#takeUntil(SECTION_END, MAX_HEAD_BYTES);
    if (text === undefined) return;
    const trailers = readFields(text, LINE_END.length);
    const names = trailers.filter((_, index) => index % 2 === 0);
    if (names.some(isFraming)) throw new MalformedAnswer('a trailer of the answer says how long its body is');
    this.#end(trailers);
  }

  #end(trailers: RawHeaders): void {
    const reader = this.#reader;
    this.#state = 'done';
    this.#reader = undefined;
    reader?.onEnd(trailers);
  }

  /** The text up to this end and with it, once it is there; else keeps what has come. */
  #takeUntil(end: Buffer, maxBytes: number): string | undefined {
    const [data, at] = [this.#data, this.#at];
    if (this.#held === undefined) {
      const found = data.indexOf(end, at);
      if (found >= 0 && found + end.length - at <= maxBytes) {
        this.#at = found + end.length;
        return data.toString('latin1', at, this.#at);
      }
    }
    const before = this.#heldBytes;
    const taken = Math.min(data.length - at, maxBytes - before);
    const held = this.#hold(data.subarray(at, at + taken), maxBytes);
    const found = held.subarray(0, this.#heldBytes).indexOf(end, Math.max(0, before - end.length + 1));
    checkLines(held, { from: before, to: found < 0 ? this.#heldBytes : found });
    if (found < 0) {
      if (this.#heldBytes === maxBytes) throw new MalformedAnswer('a part of the answer is too long');
      this.#at = at + taken;
      return undefined;
    }
    const length = found + end.length;
    this.#at = at + length - before;
    this.#held = undefined;
    this.#heldBytes = 0;
    return held.toString('latin1', 0, length);
  }

  #hold(bytes: Buffer, maxBytes: number): Buffer {
    this.#held ??= Buffer.allocUnsafe(maxBytes);
    bytes.copy(this.#held, this.#heldBytes);
    this.#heldBytes += bytes.length;
    return this.#held;
  }

  /** What begins in another way is not waited for. */
  #checkBegin(): void {
    const begin = this.#held?.toString('latin1', 0, Math.min(this.#heldBytes, BEGIN.length)) ?? '';
    if (!BEGIN.startsWith(begin)) throw new MalformedAnswer('the answer is not of HTTP/1');
  }
}

/** A line feed without a carriage return ends a line for some, so the section may never end for others. */
function checkLines(text: Buffer, { from, to }: { readonly from: number; readonly to: number }): void {
  const held = text.subarray(0, to);
  for (let at = held.indexOf(10, from); at >= 0; at = held.indexOf(10, at + 1))
    if (held[at - 1] !== 13) throw new MalformedAnswer('a line of the answer ends with a lone line feed');
}

/** Reads fields from a place in a text to its last line, which is empty. */
function readFields(text: string, from: number): string[] {
  const fields: string[] = [];
  FIELD.lastIndex = from;
  while (FIELD.lastIndex < text.length - LINE_END.length) {
    const [, name, value] = FIELD.exec(text) ?? [];
    if (name === undefined || value === undefined)
      throw new MalformedAnswer('the answer has a header that is none');
    // A tab there is a blank by RFC 9110, 5.6.3, and part of the value for Node's parser and others.
    if (value.endsWith('\t') && isFraming(name))
      throw new MalformedAnswer('how long the answer is ends with a tab');
    fields.push(name, trimBlanks(value));
  }
  return fields;
}

/** Whether a header says how long a body is. */
function isFraming(name: string): boolean {
  if (name.length !== 14 && name.length !== 17) return false;
  const lower = name.toLowerCase();
  return lower === 'content-length' || lower === 'transfer-encoding';
}

/** Without blanks and tabs around it; `trim()` would take more than that. */
function trimBlanks(text: string): string {
  let [begin, end] = [0, text.length];
  while (begin < end && isBlank(text.charCodeAt(begin))) begin++;
  while (end > begin && isBlank(text.charCodeAt(end - 1))) end--;
  return begin === 0 && end === text.length ? text : text.slice(begin, end);
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

function readHint(value: string): number | undefined {
  const [, seconds] = /timeout=(\d{1,9})/i.exec(value) ?? [];
  return seconds === undefined ? undefined : Number(seconds);
}
