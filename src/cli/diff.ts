import { dirname, resolve } from 'node:path';
import { describeChange } from '../apply/describe-plan.ts';
import { createFileParser } from '../config/file.ts';
import { findWaitingSettings, listChangedSettings } from '../config/resolve-settings.ts';
import { SETTINGS, type SettingName, type SettingSpec } from '../config/settings.ts';
import { formatProblem, hasErrors } from '../model/problem.ts';
import { diffTables } from '../plan/diff-tables.ts';
import { configCandidates, describeConfigPath } from '../sources/config-candidates.ts';
import { describeReadError, readConfigFile, readConfigStream } from '../sources/read-config-file.ts';
import { EXIT_OK, EXIT_PROBLEMS, EXIT_UNUSABLE } from '../system/exit-codes.ts';
import type { EffectiveConfig } from '../status/api/answers.ts';
import { changesValues, hideLike, isSameSetting, listHidden, readRunningConfig } from './running-config.ts';
import type { CommandIo, CommandParts } from './running-proxy.ts';

export interface DiffOptions {
  /** `-` = standard input; undefined = the one that `run` would use. */
  readonly file: string | undefined;
  readonly config: string | undefined;
}

/**
 * Tells what a running proxy would change if it read this file, one change a line. Labels, environment and flags are taken from what
 * the proxy says of its values. Exit status: 0 nothing, 1 something, 2 where the file is refused or can't be compared.
 */
export async function diff(options: DiffOptions, { proxy, io }: CommandParts): Promise<number> {
  const { text, shown, folder } = await readText(options, io);
  const answer = (await proxy.get('/api/config')) as EffectiveConfig;
  const running = readRunningConfig(answer);
  const layers = { environment: running.environment, flags: {} };
  const { config, problems } = createFileParser(layers)({ text, file: shown, folder });
  for (const problem of problems) io.stderr(formatProblem(problem));
  if (config === undefined || hasErrors(problems)) {
    io.stderr(`lazy-proxy: ${shown} would be refused`);
    return EXIT_UNUSABLE;
  }
  const hidden = listHidden(answer);
  const table = running.tableOf(config);
  const ofFile = table.problems.filter(({ origin }) => origin.kind === 'file' && origin.file === shown);
  for (const problem of ofFile) io.stderr(formatProblem(problem));
  const desired = hideLike(table, { current: running.table, hidden });
  const settings = running.settingsOf(config);
  const isWaiting = (name: SettingName) => (SETTINGS[name] as SettingSpec).fixed === true;
  const changed = listChangedSettings(running.settings, settings.settings).filter(
    (name) => !isSameSetting(answer, { name, desired: settings.settings }),
  );
  const atOnce = changed.filter((name) => !isWaiting(name));
  const changes = [
    ...(atOnce.length > 0 ? [`settings changed: ${atOnce.join(', ')}`] : []),
    ...diffTables(running.table, desired)
      .filter(changesValues)
      .map((change) => describeChange(change)),
    ...findWaitingSettings(running.settings, settings).map(({ message }) => message),
  ];
  for (const change of changes) io.stdout(change);
  if (hidden.length > 0) {
    const note =
      'webhooks, paths of health checks and values of env are compared only with the token (--token)';
    io.stderr(`lazy-proxy: ${note}`);
  }
  if (changes.length > 0) return EXIT_PROBLEMS;
  io.stdout(`${shown}: nothing would change`);
  return EXIT_OK;
}

/** @throws where no file can be read. */
async function readText(
  { file, config }: DiffOptions,
  { env, cwd, clock }: CommandIo,
): Promise<{ readonly text: string; readonly shown: string; readonly folder: string }> {
  if (file === '-') return { text: await readConfigStream(process.stdin), shown: 'stdin', folder: cwd };
  const found = configCandidates({ flag: file ?? config, env, cwd });
  for (const path of found.named === undefined ? found.candidates : [found.named.path]) {
    const shown = describeConfigPath(path, cwd);
    const whole = resolve(cwd, path);
    const read = readConfigFile(whole, { named: found.named !== undefined, clock });
    const text = await read.catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' && found.named === undefined) return undefined;
      throw new Error(`${shown} ${describeReadError(error)}`);
    });
    if (text !== undefined) return { text, shown, folder: dirname(whole) };
  }
  throw new Error('no file is given, and none is found: lazy-proxy diff lazy-proxy.yaml');
}
