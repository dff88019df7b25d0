import type { Clock } from '../system/clock.ts';
import { EXIT_OK, EXIT_PROBLEMS } from '../system/exit-codes.ts';
import { messageOf } from '../system/message-of.ts';
import { requestUrl } from '../system/net/http-client.ts';
import { type CommandIo, readOwnSettings, statusUrl } from './running-proxy.ts';

const TIMEOUT_MS = 2_000;
/** Longer than "ok", so that a message can show another answer. */
const MAX_BODY_BYTES = 1_024;
const MAX_SHOWN_CHARACTERS = 100;

export interface HealthcheckOptions {
  readonly config: string | undefined;
  readonly statusPort: number | undefined;
}

/**
 * Asks the status server of a proxy on this machine whether it is well; where that listens is found out as `run` does.
 * Exit status: 0 when it is, or when it has no status server; 1 when it is not.
 */
export async function healthcheck(options: HealthcheckOptions, io: CommandIo): Promise<number> {
  const { stdout, stderr, clock } = io;
  const server = statusUrl(await readOwnSettings(options, io));
  if (server === undefined) {
    stdout('the status server is off, so there is nothing to check');
    return EXIT_OK;
  }
  const url = `${server}/health`;
  try {
    await askHealth(url, clock);
    stdout('ok');
    return EXIT_OK;
  } catch (error) {
    stderr(`lazy-proxy: ${url} does not say "ok": ${messageOf(error)}`);
    return EXIT_PROBLEMS;
  }
}

/** @throws {Error} with what was answered instead. */
async function askHealth(url: string, clock: Clock): Promise<void> {
  const answer = await requestUrl(url, { clock, deadlineMs: TIMEOUT_MS, maxBodyBytes: MAX_BODY_BYTES });
  const body = answer.body.toString().trim();
  if (answer.status !== 200 || body !== 'ok') {
    throw new Error(`it answers ${answer.status}: ${body.slice(0, MAX_SHOWN_CHARACTERS)}`);
  }
}
