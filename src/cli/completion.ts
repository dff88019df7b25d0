import type { Command } from 'commander';
import { isUnsafe } from '../model/text/escape-text.ts';
import { EXIT_OK } from '../system/exit-codes.ts';
import type { ProgramIo } from '../system/program-io.ts';
import { type BashWord, readBashWord, writeBashWord } from './completion/bash-words.ts';
import { COMPLETION_SCRIPTS, type Shell } from './completion/completion-scripts.ts';
import { type Candidate, type Completion, findCompletion } from './completion/find-completion.ts';

/** What a shell shows beside a candidate has one line, and not too long a one. */
const MAX_DESCRIPTION = 80;

export interface CompletionOptions {
  readonly shell: Shell;
  /** What is typed so far, without the program's name; the last one is completed. None: the script is wanted. */
  readonly words: readonly string[];
  readonly program: Command;
  /** The services of the proxy that flags mean; it may fail. */
  readonly listServices: (flags: Readonly<Record<string, string>>) => Promise<readonly Candidate[]>;
}

/** Prints the script for a shell, or what may follow the words. Exit status: 0. */
export async function completion(options: CompletionOptions, io: ProgramIo): Promise<number> {
  const { shell, words, program, listServices } = options;
  if (words.length === 0) {
    for (const line of COMPLETION_SCRIPTS[shell].trimEnd().split('\n')) io.stdout(line);
    return EXIT_OK;
  }
  const read = words.map((word) => (shell === 'bash' ? readBashWord(word) : plainWord(word)));
  const found = findCompletion(
    program,
    read.map(({ text }) => text),
  );
  io.stdout(found.kind === 'files' ? 'files' : 'values');
  const current = read.at(-1) ?? plainWord('');
  for (const { value, description } of await listCandidates(found, listServices)) {
    // Fish looks for the best match itself. A name that is no plain line could be taken for two, or for an option.
    const isWanted = shell === 'fish' || value.startsWith(current.text);
    if (!isWanted || value === '' || value.includes('\n') || isUnsafe(value)) continue;
    if (found.kind === 'services' && value.startsWith('-')) continue;
    const text = shell === 'bash' ? writeBashWord(value, current) : value;
    if (text === undefined) continue;
    io.stdout(text);
    if (shell !== 'bash') io.stdout(describe(description));
  }
  return EXIT_OK;
}

async function listCandidates(
  found: Completion,
  listServices: CompletionOptions['listServices'],
): Promise<readonly Candidate[]> {
  if (found.kind === 'values') return found.candidates;
  if (found.kind === 'files') return [];
  // Who types is not to read of a proxy that is away.
  return listServices(found.flags).catch(() => []);
}

function plainWord(text: string): BashWord {
  return { text, open: '', isTorn: false };
}

/** Never empty: an empty line could get lost. */
function describe(text: string): string {
  const [first = ''] = text.split('\n');
  const short = first.length > MAX_DESCRIPTION ? `${first.slice(0, MAX_DESCRIPTION - 1)}…` : first;
  return short.trim() || '-';
}
