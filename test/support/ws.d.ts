/** What the tests use of the package `ws`, which brings no types along. */
declare module 'ws' {
  import type { EventEmitter } from 'node:events';
  import type { Server } from 'node:http';

  interface Options {
    readonly perMessageDeflate?:
      | boolean
      | {
          readonly threshold?: number;
          readonly clientNoContextTakeover?: boolean;
          readonly serverNoContextTakeover?: boolean;
          readonly clientMaxWindowBits?: number;
          readonly serverMaxWindowBits?: number;
        };
    readonly maxPayload?: number;
  }

  export class WebSocket extends EventEmitter {
    constructor(url: string, options?: Options & { readonly headers?: Readonly<Record<string, string>> });
    readonly extensions: string;
    send(data: string | Buffer, options?: { readonly binary?: boolean; readonly fin?: boolean }): void;
    ping(data?: Buffer): void;
    close(code?: number, reason?: string): void;
    terminate(): void;
  }

  export class WebSocketServer extends EventEmitter {
    constructor(options: Options & { readonly server: Server });
    close(): void;
  }
}
