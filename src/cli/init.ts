import { lstat, open, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type ContainerSurvey, surveyContainers } from '../backends/docker/survey-containers.ts';
import { hideSecrets } from '../config/secrets.ts';
import { parseEnvironment } from '../config/environment.ts';
import { createFileParser } from '../config/file.ts';
import { resolveSettings } from '../config/resolve-settings.ts';
import type { Settings } from '../model/settings.ts';
import { systemClock } from '../system/clock.ts';
import { EXIT_OK, EXIT_PROBLEMS, EXIT_UNUSABLE } from '../system/exit-codes.ts';
import { messageOf } from '../system/message-of.ts';
import type { ProgramIo } from '../system/program-io.ts';
import { type StartingFile, writeStartingFile } from './init/starting-file.ts';

/** How long the engine may take to tell of all its containers. */
const ENGINE_TIMEOUT_MS = 10_000;
const DEFAULT_FILE = 'lazy-proxy.yaml';
const DEFAULT_IDLE_TIMEOUT_MS = 120_000;
const MAX_NAMES = 10;

export interface InitOptions {
  /** `-` = standard output. */
  readonly file: string | undefined;
  readonly stdout: boolean;
  readonly dockerSocket: string | undefined;
}

/**
 * Writes a file to begin with, of what the engine has, where one answers. Exit status: 0 written; 1 there is such a file already,
 * which stays as it is; 2 it can't be written.
 */
export async function init({ file = DEFAULT_FILE, ...options }: InitOptions, io: ProgramIo): Promise<number> {
  const isPrinted = options.stdout || file === '-';
  const path = resolve(io.cwd, file);
  if (!isPrinted && (await exists(path))) return refuse(file, io);
  const { environment, problems } = parseEnvironment(io.env);
  for (const { message } of problems) io.stderr(`lazy-proxy: ${message}`);
  const flags = { dockerSocket: options.dockerSocket };
  const { settings } = resolveSettings({ environment, flags, file: undefined });
  const found = await survey(settings, io);
  // What `validate` says, too: where the file is used later, environment and flags may be others.
  const parse = createFileParser({ environment: { ...environment, detected: {} }, flags: {} });
  const made = writeStartingFile({
    survey: found.survey,
    settings,
    idleTimeoutMs: environment.defaults.idle_timeout?.value ?? DEFAULT_IDLE_TIMEOUT_MS,
    findProblems: (text) => parse({ text, file }).problems,
  });
  const say = isPrinted ? io.stderr : io.stdout;
  if (isPrinted) for (const line of made.text.trimEnd().split('\n')) io.stdout(line);
  else {
    try {
      await write(path, made.text);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return refuse(file, io);
      io.stderr(`lazy-proxy: ${file} can't be written: ${messageOf(error)}; --stdout prints it`);
      return EXIT_UNUSABLE;
    }
  }
  const socket = String(hideSecrets(settings.docker.socket, 'user'));
  if (found.reason !== undefined) say(`no engine answers at ${socket}: ${found.reason}`);
  for (const line of tell(made, {
    file: isPrinted ? undefined : file,
    isOfEngine: found.survey !== undefined,
  }))
    say(line);
  return EXIT_OK;
}

function refuse(file: string, io: ProgramIo): number {
  io.stderr(`lazy-proxy: ${file} is there already, and stays as it is; name another file, or --stdout`);
  return EXIT_PROBLEMS;
}

/** Also where it leads nowhere: what is there is somebody's. */
async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** Writes a file that is not there yet. @throws a Node system error; then there is none. */
async function write(path: string, text: string): Promise<void> {
  const handle = await open(path, 'wx');
  try {
    await handle.writeFile(text);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}

async function survey(
  { docker: { socket } }: Settings,
  { env }: ProgramIo,
): Promise<{ readonly survey: ContainerSurvey | undefined; readonly reason?: string }> {
  try {
    return {
      survey: await surveyContainers({ socket, env, clock: systemClock, timeoutMs: ENGINE_TIMEOUT_MS }),
    };
  } catch (error) {
    return { survey: undefined, reason: messageOf(error) };
  }
}

/** What was done, and what is to be done now. */
function tell(
  made: StartingFile,
  { file, isOfEngine }: { readonly file: string | undefined; readonly isOfEngine: boolean },
): readonly string[] {
  const { served, listeners, labelled, proposed } = made;
  const shown = file === undefined ? 'the file' : quoteForShell(file);
  const steps = [
    served.length > 0
      ? `Read ${shown}, and take out what must never sleep.`
      : `Write into ${shown} what is to sleep; it has examples.`,
    ...(served.length > 0
      ? [
          'Take the ports of these containers out of their Compose files, or -p out of docker run, and make them anew: only one can have a port.',
        ]
      : []),
    `Check it: lazy-proxy validate ${file === undefined ? 'FILE' : shown}`,
    `Start the proxy: lazy-proxy run --config ${file === undefined ? 'FILE' : shown}`,
  ];
  return [
    ...(file === undefined ? [] : [`${file} is written: ${describeCounts(served.length, listeners)}`]),
    ...(served.length > 0 ? [`served: ${listNames(served)}`] : []),
    ...(proposed.length > 0 ? [`as comments, since only you know: ${listNames(proposed)}`] : []),
    ...(labelled.length > 0 ? [`left to their labels: ${listNames(labelled)}`] : []),
    ...(isOfEngine && served.length + proposed.length + labelled.length === 0
      ? ['the engine has no container with a port']
      : []),
    'Next:',
    ...steps.map((step, index) => `  ${index + 1}. ${step}`),
  ];
}

function describeCounts(services: number, listeners: number): string {
  const count = (number: number, noun: string) => `${number} ${noun}${number === 1 ? '' : 's'}`;
  return `${count(services, 'service')} with ${count(listeners, 'listener')}`;
}

function listNames(names: readonly string[]): string {
  const more = names.length - MAX_NAMES;
  return more > 0 ? `${names.slice(0, MAX_NAMES).join(', ')} and ${more} more` : names.join(', ');
}

/** As it can be typed. */
function quoteForShell(file: string): string {
  return /^[\w./@:+-]+$/.test(file) ? file : `'${file.replaceAll("'", `'\\''`)}'`;
}
