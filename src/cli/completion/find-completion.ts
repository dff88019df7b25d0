/**
 * What may be typed next. Input: the command tree, and the words so far. Output: candidates, or what kind of thing is wanted there.
 * Guarantees: pure, and made of the command tree alone, so that whatever is added there is completed.
 */
import type { Argument, Command, Option } from 'commander';

export interface Candidate {
  readonly value: string;
  readonly description: string;
}

export type Completion =
  | { readonly kind: 'values'; readonly candidates: readonly Candidate[] }
  | { readonly kind: 'files' }
  /** Names of services of the proxy that the flags mean. */
  | { readonly kind: 'services'; readonly flags: Readonly<Record<string, string>> };

const NOTHING: Completion = { kind: 'values', candidates: [] };
/** Arguments and values of options with these names are files. */
const FILES: ReadonlySet<string> = new Set(['file', 'files', 'path']);

/** What has been typed before the word that is to be completed. */
interface Typed {
  readonly command: Command;
  readonly used: ReadonlySet<Option>;
  /** Values of options, by the names that actions know them by. */
  readonly flags: Readonly<Record<string, string>>;
  /** Words of the command that are no options. */
  readonly operands: number;
  /** Takes the next word as its value. */
  readonly pending: Option | undefined;
  /** After `--`. */
  readonly hasEnded: boolean;
}

/** @param words without the program's name; the last one is completed, and may be empty. */
export function findCompletion(program: Command, words: readonly string[]): Completion {
  const current = words.at(-1) ?? '';
  const typed = readTyped(program, words.slice(0, -1));
  const { command, pending, hasEnded } = typed;
  if (pending !== undefined) return completeValue(pending, '', typed);
  if (!hasEnded && current.startsWith('-')) {
    const { option, head } = readOption(current, listOptions(command, program));
    return head === undefined ? completeOption(typed, program) : completeValue(option, head, typed);
  }
  if (command === program && typed.operands === 0) return completeCommand(program);
  const all = command.registeredArguments;
  const argument = all[typed.operands] ?? all.findLast(({ variadic }) => variadic);
  if (argument !== undefined) return completeArgument(argument, typed, program);
  return current === '' && !hasEnded ? completeOption(typed, program) : NOTHING;
}

function readTyped(program: Command, words: readonly string[]): Typed {
  let command = program;
  let used = new Set<Option>();
  let operands = 0;
  let pending: Option | undefined;
  let hasEnded = false;
  const flags: Record<string, string> = {};
  for (const word of words) {
    if (pending !== undefined) {
      flags[pending.attributeName()] = word;
      pending = undefined;
    } else if (hasEnded || !/^-./.test(word)) {
      const next = command === program && operands === 0 ? findCommand(program, word) : undefined;
      if (next === undefined) operands += 1;
      else {
        command = next;
        used = new Set();
      }
    } else if (word === '--') hasEnded = true;
    else {
      const { option, value } = readOption(word, listOptions(command, program));
      if (option === undefined) continue;
      used.add(option);
      if (value !== undefined) flags[option.attributeName()] = value;
      else if (option.required) pending = option;
    }
  }
  return { command, used, flags, operands, pending, hasEnded };
}

/** Those of the command, and, before one is named, those of the one that is meant then. */
function listOptions(command: Command, program: Command): readonly Option[] {
  const own = command.createHelp().visibleOptions(command);
  const fallback = (program as unknown as { readonly _defaultCommandName?: string })._defaultCommandName;
  const meant = command === program ? findCommand(program, fallback ?? '') : undefined;
  return meant === undefined ? own : [...own, ...meant.options.filter(({ hidden }) => !hidden)];
}

/** `head` is what stands before a value in the same word: `--format=`. */
function readOption(
  word: string,
  options: readonly Option[],
): { readonly option: Option | undefined; readonly value?: string; readonly head?: string } {
  const [, name = word, value] = /^(--[^=]+)=(.*)$/s.exec(word) ?? [];
  const option = options.find(({ long, short }) => name === long || name === short);
  return value === undefined ? { option } : { option, value, head: `${name}=` };
}

function listCommands(program: Command): readonly Command[] {
  return program.createHelp().visibleCommands(program);
}

function findCommand(program: Command, name: string): Command | undefined {
  return listCommands(program).find((command) => command.name() === name || command.aliases().includes(name));
}

function completeCommand(program: Command): Completion {
  const candidates = listCommands(program).map((command) => ({
    value: command.name(),
    description: command.description(),
  }));
  return { kind: 'values', candidates };
}

function completeOption({ command, used }: Typed, program: Command): Completion {
  const left = listOptions(command, program).filter((option) => !used.has(option));
  const candidates = left.map(({ long, short, description }) => ({
    value: long ?? short ?? '',
    description,
  }));
  return { kind: 'values', candidates };
}

function completeValue(option: Option | undefined, head: string, { flags }: Typed): Completion {
  const [, name = ''] = /[<[]([^\]>]+)[\]>]$/.exec(option?.flags ?? '') ?? [];
  return completeKind({ name, choices: option?.argChoices, head, flags });
}

function completeArgument(argument: Argument, { flags }: Typed, program: Command): Completion {
  const name = argument.name();
  if (name === 'command') return completeCommand(program);
  return completeKind({ name, choices: argument.argChoices, head: '', flags });
}

function completeKind(wanted: {
  readonly name: string;
  readonly choices: readonly string[] | undefined;
  readonly head: string;
  readonly flags: Readonly<Record<string, string>>;
}): Completion {
  const { name, choices, head, flags } = wanted;
  if (choices !== undefined)
    return {
      kind: 'values',
      candidates: choices.map((choice) => ({ value: `${head}${choice}`, description: name })),
    };
  if (FILES.has(name)) return { kind: 'files' };
  return name === 'service' ? { kind: 'services', flags } : NOTHING;
}
