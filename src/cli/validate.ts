import { dirname, resolve } from 'node:path';
import { parseEnvironment } from '../config/environment.ts';
import { sortProblems } from '../config/checks/finding.ts';
import { PORT_FIELDS } from '../config/fields.ts';
import { createFileParser, type FileConfig, type ParseConfigFile } from '../config/file.ts';
import { resolveSettings } from '../config/resolve-settings.ts';
import { configCandidates, describeConfigPath } from '../sources/config-candidates.ts';
import { createCaretRenderer, type RenderCaret } from '../config/yaml/render-caret.ts';
import { escapeJson } from '../model/text/escape-text.ts';
import { formatProblem, hasErrors, type Problem } from '../model/problem.ts';
import type { Settings } from '../model/settings.ts';
import { countOf } from '../proxy/proxy-log.ts';
import { checkNamedFiles } from '../sources/check-named-files.ts';
import { describeReadError, readConfigFile, readConfigStream } from '../sources/read-config-file.ts';
import { systemClock } from '../system/clock.ts';
import { EXIT_OK, EXIT_PROBLEMS, EXIT_UNUSABLE } from '../system/exit-codes.ts';
import { findSilentOfFile } from '../table/build-table.ts';

export type ValidateFormat = 'text' | 'json' | 'github';

export interface ValidateOptions {
  readonly format: ValidateFormat;
  /** As `run` will be given it; 0 = off. */
  readonly statusPort?: number | undefined;
  /** Takes one line, without its line feed. */
  readonly stdout: (line: string) => void;
  /** Reads a file as UTF-8, also one that the configuration names; rejects with a Node system error. */
  readonly readFile?: ReadFile;
  /** When certificates have to be good, ms since the epoch; default: now. */
  readonly nowMs?: number;
  /** Environment and working directory for the search when no file is given. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
}

type ReadFile = (path: string, options: { readonly named: boolean }) => Promise<string>;

interface FileReport {
  /** As messages show it. */
  readonly file: string;
  readonly unreadable: boolean;
  readonly text: string;
  readonly problems: readonly Problem[];
  readonly services: number;
  readonly listeners: number;
}

/**
 * Checks configuration files without an engine, or the file that `run` would find when none is given. What a service is
 * that names no workload, `backend:` in the file or LAZY_PROXY_BACKEND says, else it is a container. Resolves to the exit
 * code: 0 good (also with warnings), 1 problems, 2 a file can't be read or none is found.
 */
export async function validate(files: readonly string[], options: ValidateOptions): Promise<number> {
  const cwd = options.cwd ?? process.cwd();
  const { environment } = parseEnvironment(options.env ?? process.env);
  // Whether this machine is a pod says nothing about where the file will be used.
  const layers = {
    environment: { ...environment, detected: {} },
    flags: { statusPort: options.statusPort },
  };
  const parseFile = createFileParser(layers);
  const parse: ParseConfigFile = (input) => {
    const { config, problems } = parseFile(input);
    if (config === undefined) return { config, problems };
    return {
      config,
      problems: sortProblems([...problems, ...findSilentOfFile({ ...layers, file: config })]),
    };
  };
  const resolveHttp = (config: FileConfig) => resolveSettings({ ...layers, file: config }).settings.http;
  const read = options.readFile ?? ((path, { named }) => readConfigFile(path, { named, clock: systemClock }));
  const nowMs = options.nowMs ?? systemClock.nowMs();
  const reports: FileReport[] = [];
  if (files.length === 0)
    reports.push(await checkFound({ ...options, cwd, read, parse, resolveHttp, nowMs }));
  for (const path of files)
    reports.push(await checkFile(path, { cwd, read, parse, resolveHttp, nowMs, named: true }));
  writeReports(reports, options);
  if (reports.some(({ unreadable }) => unreadable)) return EXIT_UNUSABLE;
  return reports.some(({ problems }) => hasErrors(problems)) ? EXIT_PROBLEMS : EXIT_OK;
}

interface CheckContext {
  readonly cwd: string;
  readonly read: ReadFile;
  readonly parse: ParseConfigFile;
  /** What is in force of a file. */
  readonly resolveHttp: (config: FileConfig) => Settings['http'];
  readonly nowMs: number;
}

async function checkFound(context: CheckContext & Pick<ValidateOptions, 'env'>): Promise<FileReport> {
  const { named, candidates } = configCandidates({ env: context.env ?? process.env, cwd: context.cwd });
  if (named !== undefined) return checkFile(named.path, { ...context, named: true });
  for (const path of candidates) {
    const report = await checkFile(path, { ...context, named: false });
    if (!report.problems.some(isAbsent)) return report;
  }
  const tried = candidates.map((path) => describeConfigPath(path, context.cwd)).join(', ');
  return unreadableReport('lazy-proxy.yaml', `no file is given, and none is found at ${tried}`);
}

async function checkFile(
  path: string,
  { cwd, read, parse, resolveHttp, nowMs, named }: CheckContext & { readonly named: boolean },
): Promise<FileReport> {
  const isStream = path === '-';
  const file = isStream ? 'stdin' : describeConfigPath(path, cwd);
  let text: string;
  try {
    text = isStream ? await readConfigStream(process.stdin) : await read(resolve(cwd, path), { named });
  } catch (error) {
    return unreadableReport(file, describeFailure(error));
  }
  const folder = isStream ? cwd : dirname(resolve(cwd, path));
  const { config, problems: ofText } = parse({ text, file, folder });
  const ofFiles =
    config === undefined
      ? []
      : await checkNamedFiles(config, {
          http: resolveHttp(config),
          ...{ nowMs, read: (other) => read(other, { named: true }) },
        });
  const problems = sortProblems([...ofText, ...ofFiles]);
  const drafts = config?.services.map(({ draft }) => draft) ?? [];
  const listeners = drafts.reduce(
    (sum, draft) => PORT_FIELDS.reduce((part, { field }) => part + (draft[field]?.value.length ?? 0), sum),
    0,
  );
  return { file, unreadable: false, text, problems, services: drafts.length, listeners };
}

const ABSENT = 'does not exist';

function isAbsent(problem: Problem): boolean {
  return problem.code === 'file-unreadable' && problem.message.endsWith(ABSENT);
}

function describeFailure(error: unknown): string {
  return (error as NodeJS.ErrnoException).code === 'ENOENT' ? `the file ${ABSENT}` : describeReadError(error);
}

function unreadableReport(file: string, message: string): FileReport {
  const origin = { kind: 'file', file, line: 1, column: 1 } as const;
  const problem: Problem = { code: 'file-unreadable', severity: 'error', message, origin };
  return { file, unreadable: true, text: '', problems: [problem], services: 0, listeners: 0 };
}

function writeReports(reports: readonly FileReport[], { format, stdout }: ValidateOptions): void {
  if (format === 'json') {
    const document = escapeJson(JSON.stringify({ files: reports.map(toJson) }, undefined, 2));
    for (const line of document.split('\n')) stdout(line);
    return;
  }
  for (const report of reports) {
    const renderCaret = createCaretRenderer(report.text);
    for (const problem of report.problems) {
      const lines =
        format === 'github' ? [formatAnnotation(problem)] : formatWithSource(problem, renderCaret);
      for (const line of lines) stdout(line);
    }
    if (!hasErrors(report.problems)) stdout(formatGood(report));
  }
}

function formatGood({ file, services, listeners }: FileReport): string {
  return `${file}: ok, ${countOf(services, 'service')}, ${countOf(listeners, 'listener')}`;
}

function formatWithSource(problem: Problem, renderCaret: RenderCaret): readonly string[] {
  const { code, origin } = problem;
  const caret =
    origin.kind === 'file' ? renderCaret({ ...origin, ofKey: code === 'unknown-key' }) : undefined;
  return [formatProblem(problem), ...(caret?.split('\n') ?? [])];
}

/** A workflow command; its data and properties are percent-encoded, or a message could start a command of its own. */
function formatAnnotation({ origin, severity, message }: Problem): string {
  const properties =
    origin.kind === 'file' ? { file: origin.file, line: origin.line, col: origin.column } : {};
  const list = Object.entries(properties).map(([name, value]) => `${name}=${escapeProperty(String(value))}`);
  return `::${severity} ${list.join(',')}::${escapeData(message)}`;
}

function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}

function toJson({ file, problems, services, listeners }: FileReport) {
  return {
    file,
    ok: !hasErrors(problems),
    services,
    listeners,
    problems: problems.map(({ code, severity, message, origin }) => ({
      code,
      severity,
      message,
      ...(origin.kind === 'file' && { line: origin.line, column: origin.column }),
    })),
  };
}
