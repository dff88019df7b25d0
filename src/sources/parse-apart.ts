import { type ChildProcess, fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ConfigText, ParsedFile } from '../config/file.ts';
import type { SettingsLayers } from '../config/resolve-settings.ts';
import { HIDDEN_SECRET } from '../config/secrets.ts';
import type { Clock } from '../system/clock.ts';

/** The message to the process. */
export interface ParseTask {
  readonly input: ConfigText;
  readonly layers: SettingsLayers;
}

/** Where a build puts src/sources/config-process.ts. */
const PROGRAM = fileURLToPath(new URL('./config-process.js', import.meta.url));

/** Up to this size, some twenty services, a process of its own would take longer than it saves memory for. */
const MAX_SMALL_LENGTH = 2048;

/** How long parsing may take, in ms; the longest allowed file takes a quarter of it on an idle machine. */
const PARSE_TIMEOUT_MS = 60_000;

/**
 * Parses a configuration file; one that is not small in a process that ends with it. So the memory that reading YAML takes
 * (10 MB for a hundred services, of which a thread would leave half) is given back, clients are served while a long file is
 * read, and one that takes too long can be given up. Where no process can be started, the work is done here.
 * @throws {Error} with the reason where the file can't be parsed now, though it may be well: the deadline has passed, or the
 * process has died; and the signal's reason when it aborts. The process has been ended then.
 */
export async function parseApart(
  task: ParseTask,
  options: { readonly signal: AbortSignal; readonly clock: Clock },
): Promise<ParsedFile> {
  const { input, layers } = task;
  if (input.text.length <= MAX_SMALL_LENGTH || !existsSync(PROGRAM)) return parseHere(task);
  const { settings: all, detected } = layers.environment;
  // That there is a token is all that the process has to know.
  const { 'status.token': token, ...others } = all;
  const hidden = token?.value === undefined ? {} : { 'status.token': { ...token, value: HIDDEN_SECRET } };
  const settings = { ...others, ...hidden };
  const lean = { input, layers: { ...layers, environment: { settings, detected } } };
  return (await askProcess(lean, options)) ?? parseHere(task);
}

async function parseHere({ input, layers }: ParseTask): Promise<ParsedFile> {
  const { createFileParser } = await import('../config/file.ts');
  return createFileParser(layers)(input);
}

/** Undefined where no process could be started. @throws as `parseApart()`. */
function askProcess(
  task: ParseTask,
  { signal, clock }: { readonly signal: AbortSignal; readonly clock: Clock },
): Promise<ParsedFile | undefined> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    let child: ChildProcess;
    try {
      child = startProcess();
    } catch {
      // For example, no descriptor is left for its channel.
      return resolve(undefined);
    }
    // An `error` event follows and says why it could not start.
    child.on('error', () => {});
    if (child.pid === undefined) return resolve(undefined);
    const settle = () => {
      cancel();
      signal.removeEventListener('abort', abort);
      child.kill('SIGKILL');
    };
    const fail = (error: unknown) => {
      settle();
      reject(error);
    };
    const abort = () => fail(signal.reason);
    const cancel = clock.schedule(PARSE_TIMEOUT_MS, () => {
      fail(new Error(`it takes longer than ${PARSE_TIMEOUT_MS / 1_000} s`));
    });
    signal.addEventListener('abort', abort, { once: true });
    child.once('message', (parsed) => {
      settle();
      resolve(parsed as ParsedFile);
    });
    // `close` comes after the channel is closed, so an answer that is still in it arrives first.
    child.once('close', (status, killer) => {
      fail(new Error(`the process that parses it ended with ${killer ?? `status ${status}`}`));
    });
    child.send(task, () => {});
  });
}

function startProcess(): ChildProcess {
  return fork(PROGRAM, [], {
    // The structure that comes back is more than JSON can say.
    serialization: 'advanced',
    execArgv: [],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
}
