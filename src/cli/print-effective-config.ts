import { dirname, resolve } from 'node:path';
import type { LabelledWorkload } from '../backends/backend.ts';
import { readLabelledContainers } from '../backends/docker/container-labels.ts';
import { readAnnotatedWorkloads } from '../backends/kubernetes/annotated-workloads.ts';
import { readLabelledServices } from '../backends/swarm/swarm-backend.ts';
import { type Environment, parseEnvironment } from '../config/environment.ts';
import { createFileParser, type FileConfig } from '../config/file.ts';
import { type LabelReading, parseLabels } from '../config/labels.ts';
import { resolveSettings } from '../config/resolve-settings.ts';
import type { SettingsFlags } from '../config/settings.ts';
import { configCandidates, describeConfigPath } from '../sources/config-candidates.ts';
import { formatProblem, hasErrors } from '../model/problem.ts';
import type { Settings } from '../model/settings.ts';
import { describeReadError, readConfigFile } from '../sources/read-config-file.ts';
import { systemClock } from '../system/clock.ts';
import { EXIT_OK, EXIT_PROBLEMS, EXIT_UNUSABLE } from '../system/exit-codes.ts';
import { messageOf } from '../system/message-of.ts';
import type { ProgramIo } from '../system/program-io.ts';
import { buildTable } from '../table/build-table.ts';
import { renderEffectiveConfig } from './render/render-effective-config.ts';

/** How long the engine may take to list its workloads, in ms. */
const ENGINE_TIMEOUT_MS = 10_000;

export interface PrintOptions {
  readonly config: string | undefined;
  readonly format: 'yaml' | 'json';
  readonly showOrigin: boolean;
  readonly showSecrets: boolean;
  readonly settings: SettingsFlags;
}

/**
 * Prints what `run` would run with, to standard output; problems go to standard error.
 * Exit status: 0, also with warnings; 1 with problems; 2 where the file or the engine can't be read.
 */
export async function printEffectiveConfig(options: PrintOptions, io: ProgramIo): Promise<number> {
  try {
    return await print(options, io);
  } catch (error) {
    io.stderr(`lazy-proxy: ${messageOf(error)}`);
    return EXIT_UNUSABLE;
  }
}

async function print(options: PrintOptions, io: ProgramIo): Promise<number> {
  const { environment, problems: warnings } = parseEnvironment(io.env);
  const read = await readConfig(options, { io, environment });
  for (const problem of [...warnings, ...read.problems]) io.stderr(formatProblem(problem));
  if (hasErrors(read.problems)) return EXIT_PROBLEMS;
  const layers = { file: read.config, environment, flags: options.settings };
  const settings = resolveSettings(layers);
  const labelled = await readLabels(settings.settings, io);
  const table = buildTable({ ...layers, labelled, holders: new Map() });
  for (const problem of table.problems) io.stderr(formatProblem(problem));
  const document = renderEffectiveConfig(table, settings, options);
  for (const line of document.trimEnd().split('\n')) io.stdout(line);
  return hasErrors(table.problems) ? EXIT_PROBLEMS : EXIT_OK;
}

async function readConfig(
  { config: flag, settings }: PrintOptions,
  { io, environment }: { readonly io: ProgramIo; readonly environment: Environment },
): Promise<ReturnType<ReturnType<typeof createFileParser>>> {
  const { named, candidates } = configCandidates({ flag, env: io.env, cwd: io.cwd });
  for (const path of named === undefined ? candidates : [named.path]) {
    const options = { named: named !== undefined, clock: systemClock };
    const text = await readConfigFile(path, options).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' && (named === undefined || named.mayBeAbsent)) return undefined;
      throw new Error(`${describeConfigPath(path, io.cwd)} ${describeReadError(error)}`);
    });
    if (text === undefined) {
      // As `run` does: without the file until it is there.
      if (named !== undefined) io.stderr(`lazy-proxy: CONFIG_PATH names ${path}, which is not there yet`);
      continue;
    }
    const parse = createFileParser({ environment, flags: settings });
    return parse({ text, file: describeConfigPath(path, io.cwd), folder: resolve(io.cwd, dirname(path)) });
  }
  return { config: undefined as FileConfig | undefined, problems: [] };
}

async function readLabels(settings: Settings, io: ProgramIo): Promise<readonly LabelReading[]> {
  const { labels, labelPrefixes: prefixes } = settings[settings.backend];
  if (!labels) return [];
  const workloads = await readLabelledWorkloads(settings, io).catch((error: Error) => {
    throw new Error(`can't read the labels of the workloads: ${error.message}; --no-labels leaves them out`);
  });
  return workloads.map((workload) => parseLabels(workload, { prefixes }));
}

async function readLabelledWorkloads(
  { backend, docker, kubernetes }: Settings,
  io: ProgramIo,
): Promise<readonly LabelledWorkload[]> {
  const shared = { env: io.env, clock: systemClock, timeoutMs: ENGINE_TIMEOUT_MS };
  if (backend === 'kubernetes') return readAnnotatedWorkloads({ ...kubernetes, ...shared });
  const options = { ...docker, ...shared };
  return (await Promise.all([readLabelledContainers(options), readLabelledServices(options)])).flat();
}
