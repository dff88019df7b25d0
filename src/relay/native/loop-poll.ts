import { isMainThread } from 'node:worker_threads';
import { afterEvents } from '../../system/clock.ts';
import { createDeclare, type Koffi } from './load-koffi.ts';

/** A descriptor that Node's event loop watches. */
export interface LoopWatch {
  /** Whether to tell, too, when there is room in the send buffer. */
  alsoWritable(wanted: 'on' | 'off'): void;
  /** Ends the watch; to be called before the descriptor is closed. Idempotent. */
  close(): void;
}

/** Watches descriptors on Node's event loop without reading from them, for which Node has no API. */
export interface LoopPoll {
  /**
   * Calls the reader whenever the descriptor can be read, or has room to write where that is wanted. Nobody else may watch
   * the descriptor on this loop. The process stays alive until the watch is closed.
   * @throws where the loop can't watch it.
   */
  watch(fd: number, reader: LoopReader): LoopWatch;
}

/** Receives the events of one descriptor. An object, because a closure for each of thousands of sockets costs more memory. */
export interface LoopReader {
  onReady(): void;
}

/** `UV_POLL`, `UV_READABLE` and `UV_WRITABLE`: a part of libuv's stable interface. */
const POLL_HANDLE = 8;
const READABLE = 1;
const WRITABLE = 2;

/**
 * Uses `uv_poll_*` of libuv, which Node exports for native add-ons.
 * @throws where these functions are missing, and on every thread but the first: only its event loop can be reached.
 */
export function createLoopPoll(koffi: Koffi): LoopPoll {
  if (!isMainThread) throw new Error("only the main thread's event loop can be reached");
  const declare = createDeclare(koffi);
  const defaultLoop = declare('uintptr_t uv_default_loop()');
  const handleSize = declare('size_t uv_handle_size(int type)');
  const init = declare('int uv_poll_init(uintptr_t loop, uintptr_t handle, int fd)');
  const onPoll = koffi.proto('void (uintptr_t handle, int status, int events)');
  const library = koffi.load(null);
  const startPoll = library.func('uv_poll_start', 'int', ['uintptr_t', 'int', koffi.pointer(onPoll)]);
  const stop = declare('int uv_poll_stop(uintptr_t handle)');
  const close = declare('void uv_close(uintptr_t handle, void *callback)');
  const handles = new HandleMemory(koffi, Number(handleSize(POLL_HANDLE)));
  const watches = new Map<number, Watch>();
  // One callback for all watches, never freed: koffi allows only so many, and the loop may still have a call to make.
  const callback = koffi.register((handle: number | bigint, status: number) => {
    const watch = watches.get(Number(handle));
    // Not within libuv's call: there an error could not be handled, nor the handle closed that libuv is dealing with.
    if (watch !== undefined) afterEvents(() => watch.onPoll(status));
  }, koffi.pointer(onPoll));
  // While Node shuts its environment down, the loop still runs, but nothing may call into JavaScript any more.
  const stopAll = () => {
    for (const { handle } of watches.values()) stop(handle);
  };

  class Watch implements LoopWatch {
    readonly handle: number;
    readonly #reader: LoopReader;
    #events = READABLE;
    #closed = false;

    constructor(fd: number, reader: LoopReader) {
      this.handle = handles.take();
      this.#reader = reader;
      const status = Number(init(defaultLoop(), this.handle, fd));
      if (status < 0) {
        handles.give(this.handle);
        throw new Error(`the event loop can't watch a socket (libuv error ${status})`);
      }
      if (watches.size === 0) process.once('exit', stopAll);
      watches.set(this.handle, this);
      this.#start();
    }

    alsoWritable(wanted: 'on' | 'off'): void {
      const events = wanted === 'on' ? READABLE | WRITABLE : READABLE;
      if (this.#closed || events === this.#events) return;
      this.#events = events;
      this.#start();
    }

    onPoll(status: number): void {
      if (this.#closed) return;
      this.#reader.onReady();
      // libuv stops the watch at an error of the socket. Reading has taken the error, so the watch goes on.
      if (status < 0 && !this.#closed) this.#start();
    }

    close(): void {
      if (this.#closed) return;
      this.#closed = true;
      watches.delete(this.handle);
      if (watches.size === 0) process.off('exit', stopAll);
      stop(this.handle);
      close(this.handle, null);
      // The loop still uses the memory until the end of this turn.
      afterEvents(() => afterEvents(() => handles.give(this.handle)));
    }

    #start(): void {
      startPoll(this.handle, this.#events, callback);
    }
  }
  return { watch: (fd, reader) => new Watch(fd, reader) };
}

/** Handles of one piece of memory. */
const HANDLES_PER_PIECE = 64;

/**
 * Memory for libuv's handles of 160 bytes. One ArrayBuffer holds many, because one for each would cost several times as
 * much. Memory is never freed, but given to later handles.
 */
class HandleMemory {
  readonly #koffi: Koffi;
  readonly #bytes: number;
  /** Keeps the memory alive: the loop writes to it, and nothing else refers to it. */
  readonly #pieces: ArrayBuffer[] = [];
  readonly #free: number[] = [];

  constructor(koffi: Koffi, bytes: number) {
    this.#koffi = koffi;
    // A multiple of 16, so that each handle is aligned.
    this.#bytes = Math.ceil(bytes / 16) * 16;
  }

  /** The address of a free one. */
  take(): number {
    if (this.#free.length === 0) this.#add();
    return this.#free.pop() ?? 0;
  }

  give(handle: number): void {
    this.#free.push(handle);
  }

  #add(): void {
    const piece = new ArrayBuffer(HANDLES_PER_PIECE * this.#bytes);
    this.#pieces.push(piece);
    const begin = Number(this.#koffi.address(piece));
    for (let index = HANDLES_PER_PIECE - 1; index >= 0; index--) this.#free.push(begin + index * this.#bytes);
  }
}
