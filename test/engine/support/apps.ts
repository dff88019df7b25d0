import { APP_SCRIPT } from './app-script.ts';
import { nodeImage } from './image.ts';

/** What a test app does. */
export interface AppOptions {
  /**
   * `http` (default): `/` tells `{ startedAt, pid, hostname, path, client, port, checks }`, `/?ms=500` does so later,
   * `/bytes?n=…` is a download, `/stream` one without an end until `/stream/end` ends all of them and tells what was
   * sent, `/health` is 200 or 503, `/eat` takes memory until it is killed. `echo`: TCP echo with correct half-close. `download`: sends `bytes` and closes.
   * `early`: sends `bytes`, ends its direction, and reads on. `sink`: reads to the end, then answers with the number
   * of bytes. `reset`: resets after the first bytes. `echo` and `early` print for each connection what they got and
   * how that direction ended: `got 5 bytes, end`, `got 5 bytes, ECONNRESET`. `udp-echo` answers each datagram with
   * `<startedAt> <datagram>`; `udp-sink` prints each and never answers.
   */
  readonly mode?: 'http' | 'echo' | 'download' | 'early' | 'sink' | 'reset' | 'udp-echo' | 'udp-sink';
  /** Default 80; several = the same on each. */
  readonly port?: number | readonly number[];
  /** From its start to its listening. */
  readonly delayMs?: number;
  /** From SIGTERM to its end. */
  readonly stopDelayMs?: number;
  /** Ignores SIGTERM. */
  readonly stubborn?: boolean;
  /** Crashes with status 1. */
  readonly exitAfterMs?: number;
  /** Until then `/health` says 503. */
  readonly healthyAfterMs?: number;
  /** For so long after it listens, datagrams are dropped. */
  readonly deafMs?: number;
  /** Of `download` and `early`; default 1 MiB. */
  readonly bytes?: number;
  /** The answer to `/`, instead of the JSON. */
  readonly body?: string;
}

/** The JSON with which the `http` app answers. */
export interface AppAnswer {
  /** Milliseconds since the epoch at which the app was started. */
  readonly startedAt: number;
  /** When it began to listen: from then on it could have answered. */
  readonly listeningAt: number;
  readonly pid: number;
  readonly hostname: string;
  readonly path: string;
  readonly client: string;
  /** The one that was asked. */
  readonly port: number;
  /** How often it was asked for `/health`. */
  readonly checks: number;
}

/** What one `/stream` of the `http` app sent, as `/stream/end` tells it. */
export interface SentStream {
  readonly bytes: number;
  readonly sha256: string;
}

/** Image, command and environment of a container that runs the app. */
export async function nodeApp(
  options: AppOptions = {},
): Promise<{ image: string; cmd: readonly string[]; env: Record<string, string> }> {
  return { image: await nodeImage(), cmd: ['node', '-e', APP_SCRIPT], env: appEnv(options) };
}

/** Command and environment of the app as a process of this machine. */
export function localApp(options: AppOptions): { command: readonly string[]; env: Record<string, string> } {
  return { command: [process.execPath, '-e', APP_SCRIPT], env: appEnv(options) };
}

/** Command of a busybox container that serves one page: the fastest to start. */
export function httpdCommand(
  options: { readonly port?: number; readonly body?: string } = {},
): readonly string[] {
  const { port = 80, body = 'hello' } = options;
  // As the first process of a container, a program without a handler never sees SIGTERM: the shell takes it.
  const serve = `mkdir -p /www; printf %s "$0" > /www/index.html; httpd -f -p ${port} -h /www & wait`;
  return ['sh', '-c', `trap 'exit 0' TERM; ${serve}`, body];
}

function appEnv(options: AppOptions): Record<string, string> {
  const values: Record<string, string | number | readonly number[] | undefined> = {
    APP_MODE: options.mode,
    APP_PORT: options.port,
    APP_DELAY_MS: options.delayMs,
    APP_STOP_DELAY_MS: options.stopDelayMs,
    APP_STUBBORN: options.stubborn ? 1 : undefined,
    APP_EXIT_AFTER_MS: options.exitAfterMs,
    APP_HEALTHY_AFTER_MS: options.healthyAfterMs,
    APP_DEAF_MS: options.deafMs,
    APP_BYTES: options.bytes,
    APP_BODY: options.body,
  };
  const set = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(set.map(([name, value]) => [name, String(value)]));
}
