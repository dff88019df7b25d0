import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { ConfigText, ParsedFile } from '../config/file.ts';
import type { SettingsLayers } from '../config/resolve-settings.ts';

/** What the process is told. */
export interface ParseTask {
  readonly input: ConfigText;
  readonly layers: SettingsLayers;
}

/** Where a build puts src/sources/config-process.ts. */
const PROGRAM = new URL('./config-process.js', import.meta.url);

/** Some twenty services. Up to here a process costs more, in time until a change is in force, than it saves. */
const MAX_SMALL_LENGTH = 2048;

/**
 * Parses a configuration file; one that is not small in a process that ends with it. So the memory that reading YAML takes
 * (10 MB for a hundred services, of which a thread would leave half) is given back, and clients are served while a long
 * file is read. Where no process can be had, the work is done here.
 */
export async function parseApart(input: ConfigText, layers: SettingsLayers): Promise<ParsedFile> {
  const { settings, detected } = layers.environment;
  if (input.text.length <= MAX_SMALL_LENGTH) return await parseHere(input, layers);
  try {
    return await askProcess({ input, layers: { ...layers, environment: { settings, detected } } });
  } catch {
    return await parseHere(input, layers);
  }
}

async function parseHere(input: ConfigText, layers: SettingsLayers): Promise<ParsedFile> {
  const { createFileParser } = await import('../config/file.ts');
  return createFileParser(layers)(input);
}

/** @throws {Error} where the process could not be started, or ended without an answer. */
async function askProcess(task: ParseTask): Promise<ParsedFile> {
  const child = fork(PROGRAM, [], {
    // The structure that comes back is more than JSON can say.
    serialization: 'advanced',
    execArgv: [],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const answer = waitForAnswer(child);
  child.send(task, () => {});
  return await answer;
}

async function waitForAnswer(child: ChildProcess): Promise<ParsedFile> {
  // Rejects where there is an error. The process ends by itself.
  const [parsed] = await Promise.race([once(child, 'message'), once(child, 'close')]);
  if (typeof parsed !== 'object' || parsed === null) throw new Error('the process ended without an answer');
  return parsed as ParsedFile;
}
