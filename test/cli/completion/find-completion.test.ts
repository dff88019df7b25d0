import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { findCompletion } from '../../../src/cli/completion/find-completion.ts';
import { createProgram } from '../../../src/cli/program.ts';
import type { ProgramIo } from '../../../src/system/program-io.ts';

const io: ProgramIo = {
  ...{ env: {}, cwd: '/', isTerminal: false, stdout: () => {}, stderr: () => {} },
  settleOutput: async () => {},
  onSignal: () => () => {},
};
const program = createProgram(io, () => {});
const help = program.createHelp();

function valuesOf(...words: string[]): readonly string[] {
  const found = findCompletion(program, words);
  return found.kind === 'values' ? found.candidates.map(({ value }) => value) : [found.kind];
}

describe('what may be typed next', () => {
  test('is each command, with help', () => {
    const names = program.commands.map((command) => command.name());
    expect(valuesOf('').toSorted()).toEqual([...names, 'help'].toSorted());
    expect(valuesOf('help', '')).toEqual(valuesOf(''));
  });

  test.each(help.visibleCommands(program).map((command) => [command.name(), command] as const))(
    'is each option of %s',
    (name, command) => {
      const long = help.visibleOptions(command).map((option) => option.long ?? '');
      expect(valuesOf(name, '-').toSorted()).toEqual(long.toSorted());
    },
  );

  test('is known for each argument, and each value of an option that has choices or is a file', () => {
    const names = help.visibleCommands(program).flatMap(({ registeredArguments }) => registeredArguments);
    // Another name needs a place in the code that completes, or none may be wanted there.
    expect([...new Set(names.map((argument) => argument.name()))].toSorted()).toEqual(
      ['command', 'file', 'files', 'service', 'shell', 'words'].toSorted(),
    );
    for (const command of program.commands)
      for (const { long = '', argChoices } of command.options)
        if (argChoices !== undefined) expect(valuesOf(command.name(), long, '')).toEqual(argChoices);
  });

  test('is an option of a new command without another list', () => {
    const other = new Command('x').addCommand(new Command('new').option('--shiny', 'it shines'));
    expect(findCompletion(other, ['new', '--s'])).toMatchObject({
      candidates: [{ value: '--shiny', description: 'it shines' }, { value: '--help' }],
    });
  });

  test.each<[readonly string[], readonly string[]]>([
    [['explain', ''], ['services']],
    [['status', '--json', ''], ['services']],
    [['status', '--url', 'x', ''], ['services']],
    [['status', 'db', ''], valuesOf('status', '-')],
    [['validate', 'a', ''], ['files']],
    [['validate', '--', '-'], ['files']],
    [['diff', '--config', ''], ['files']],
    [['diff', '--config='], ['files']],
    [['--config', ''], ['files']],
    [
      ['validate', '--format='],
      ['--format=text', '--format=json', '--format=github'],
    ],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish'],
    ],
    [['hold', '--for', ''], []],
    [['nonsense', ''], valuesOf('--')],
  ])('after %j is %j', (words, expected) => {
    expect(valuesOf(...words)).toEqual(expected);
  });

  test('keeps the flags that say which proxy is meant', () => {
    const words = ['wake', '--url=http://a', '--token', 't', '--status-port', '1', ''];
    expect(findCompletion(program, words)).toEqual({
      kind: 'services',
      flags: { url: 'http://a', token: 't', statusPort: '1' },
    });
  });
});
