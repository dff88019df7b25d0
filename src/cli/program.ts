import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { ENVIRONMENT_LOG_FORMATS, ENVIRONMENT_LOG_LEVELS } from '../config/environment.ts';
import { FLAGS, type FlagSpec, type SettingsFlags, TOKEN_VARIABLE } from '../config/settings.ts';
import { suggestNearest } from '../config/values/suggest.ts';
import { systemClock } from '../system/clock.ts';
import { EXIT_OK, EXIT_UNUSABLE } from '../system/exit-codes.ts';
import type { LogFormat, LogLevel } from '../system/log/logger.ts';
import type { ProgramIo } from '../system/program-io.ts';
import { holdYoungGeneration } from '../system/memory/young-generation.ts';
import type { Shell } from './completion/completion-scripts.ts';
import type { CommandParts, ProxyFlags } from './running-proxy.ts';
import type { Steering } from './steer.ts';
import { readVersion } from './version.ts';

const EXAMPLES = `
Examples:
  lazy-proxy                                     use ./lazy-proxy.yaml or /etc/lazy-proxy/lazy-proxy.yaml, or labels alone
  lazy-proxy run --config /config/proxy.yaml     use this file
  lazy-proxy init                                write lazy-proxy.yaml to begin with, of the containers that there are
  lazy-proxy validate --format github *.yaml     check files in CI; needs no engine
  lazy-proxy schema > lazy-proxy.schema.json     for an editor, which then checks the file as you type
  lazy-proxy print-effective-config --show-origin
  lazy-proxy run --backend kubernetes            wake Deployments and StatefulSets
  lazy-proxy healthcheck                         ask the proxy on this machine whether it is well
  lazy-proxy status                              what a running proxy does; explain db: all of one service
  lazy-proxy hold db --for 2h                    keep a service awake; wake, sleep, release; events tells what happens
  lazy-proxy diff new.yaml                       what it would change if it read this file
`;

const HEALTHCHECK_HELP = `
The address is the one that \`run\` takes: from the flags, the environment and the file. What \`run\` is told by flags,
healthcheck has to be told by flags, too; variables such as STATUS_PORT and LAZY_PROXY_CONFIG are seen by both.
The answer must come within 2 s.
`;

const INIT_HELP = `
Where no engine answers, the file has examples. It never takes the place of a file that is there.
Exit status: 0 written, 1 there is such a file already, 2 it can't be written.
`;

const SCHEMA_HELP = `
Save it beside the file, and name it in the file's first line:
  lazy-proxy schema > lazy-proxy.schema.json
  # yaml-language-server: $schema=./lazy-proxy.schema.json
`;

const CA_HELP = `
It lies in the folder state_dir of the proxy on this machine, and is printed as PEM:
  lazy-proxy ca > lazy-proxy-ca.pem
Exit status: 0 printed, 1 there is none, 2 it can't be read.
`;

const COMPLETION_HELP = `
  bash  in ~/.bashrc: source <(lazy-proxy completion bash)
  zsh   in ~/.zshrc, after compinit: source <(lazy-proxy completion zsh)
  fish  lazy-proxy completion fish > ~/.config/fish/completions/lazy-proxy.fish
`;

const PROXY_HELP = `
Without --url the proxy is found as healthcheck finds it: on this machine, where flags, environment and file say that the
status server listens. `;
const PROXY_STATUSES = `Exit status: 0 done, 1 the proxy refuses, 2 no proxy answers.
`;
const DIFF_HELP = `Exit status: 0 nothing, 1 something would change, 2 the file is refused, or
no proxy answers. Labels, environment and flags are those of the running proxy.
`;

const CONFIG_SEARCH =
  '$LAZY_PROXY_CONFIG, $CONFIG_PATH, ./lazy-proxy.yaml, /etc/lazy-proxy/lazy-proxy.yaml, /etc/lazy-tcp-proxy/config.yaml, in this order';

/**
 * The command tree. Each action hands its exit status to `exit`, and loads what it needs by itself: a health check every
 * few seconds must not load the whole proxy.
 */
export function createProgram(io: ProgramIo, exit: (status: number) => void): Command {
  const program = new Command('lazy-proxy')
    .description('On-demand TCP and UDP proxy: wakes a sleeping service when the first client arrives.')
    .version(readVersion())
    .configureOutput({
      writeOut: (text) => text.trimEnd().split('\n').forEach(io.stdout),
      writeErr: (text) => text.trimEnd().split('\n').forEach(io.stderr),
    })
    .addHelpText('after', EXAMPLES)
    .showHelpAfterError('(lazy-proxy --help shows the commands and options)')
    .exitOverride();
  addRun(program, io, exit);
  addInit(program, io, exit);
  addValidate(program, io, exit);
  addSchema(program, io, exit);
  addPrint(program, io, exit);
  addHealthcheck(program, io, exit);
  addCa(program, io, exit);
  addStatus(program, io, exit);
  addExplain(program, io, exit);
  addDiff(program, io, exit);
  addSteering(program, io, exit);
  addEvents(program, io, exit);
  addCompletion(program, io, exit);
  // A mistake in what was typed for one command is mended by that one's help; who types none means `run`.
  for (const command of program.commands)
    if (command.name() !== 'run')
      command.showHelpAfterError(`(lazy-proxy ${command.name()} --help shows its arguments and options)`);
  return program;
}

/** The flags as commander passes them. */
interface SharedFlags extends SettingsFlags {
  readonly config?: string;
}

function addRun(program: Command, io: ProgramIo, exit: (status: number) => void): void {
  interface Flags extends SharedFlags {
    readonly logLevel?: LogLevel;
    readonly logFormat?: LogFormat;
  }
  addSharedOptions(program.command('run', { isDefault: true }))
    .description('Run the proxy (the default).')
    // `run` is the default command, so a mistyped command ends up here.
    .allowExcessArguments()
    .addOption(new Option('--log-level <level>', 'what is logged').choices(ENVIRONMENT_LOG_LEVELS))
    .addOption(new Option('--log-format <format>', 'how it is logged').choices(ENVIRONMENT_LOG_FORMATS))
    .action(async ({ config, logLevel, logFormat, ...flags }: Flags, command: Command) => {
      const [extra] = command.args;
      if (extra !== undefined) program.error(describeExtra(extra, program));
      // Before the rest of the program is loaded; `run` lets it go when all is up.
      holdYoungGeneration();
      const { run } = await import('./run.ts');
      exit(await run({ config, logLevel, logFormat, settings: toSettingsFlags(flags) }, io));
    });
}

function addInit(program: Command, io: ProgramIo, exit: (status: number) => void): void {
  interface Flags {
    readonly stdout: boolean;
    readonly dockerSocket?: string;
  }
  program
    .command('init')
    .description('Write a configuration file to begin with, of the containers that the engine has.')
    .argument('[file]', 'the file, - for standard output (default: lazy-proxy.yaml)')
    .option('--stdout', 'print it', false)
    .addOption(createOption(FLAGS.dockerSocket))
    .addHelpText('after', INIT_HELP)
    .action(async (file: string | undefined, { stdout, dockerSocket }: Flags) => {
      const { init } = await import('./init.ts');
      exit(await init({ file, stdout, dockerSocket }, io));
    });
}

function addValidate(program: Command, io: ProgramIo, exit: (status: number) => void): void {
  interface Flags {
    readonly format: 'text' | 'json' | 'github';
    readonly statusPort?: number;
  }
  program
    .command('validate')
    .description('Check configuration files. Exit status: 0 good, 1 problems, 2 unreadable.')
    .argument('[files...]', 'files to check, - for standard input; without any, the one that `run` would use')
    .addOption(
      new Option('--format <format>', 'how problems are written')
        .choices(['text', 'json', 'github'])
        .default('text'),
    )
    .addOption(createOption(FLAGS.statusPort, 'port of the status server, where `run` is given it; 0 = off'))
    .action(async (files: string[], flags: Flags) => {
      const { validate } = await import('./validate.ts');
      exit(await validate(files, { ...flags, stdout: io.stdout, env: io.env, cwd: io.cwd }));
    });
}

function addSchema(program: Command, io: ProgramIo, exit: (status: number) => void): void {
  program
    .command('schema')
    .description('Print the JSON Schema of the configuration file, for editors.')
    .addHelpText('after', SCHEMA_HELP)
    .action(async () => {
      const { readSchemaLines } = await import('./schema.ts');
      for (const line of readSchemaLines()) io.stdout(line);
      exit(EXIT_OK);
    });
}

function addPrint(program: Command, io: ProgramIo, exit: (status: number) => void): void {
  interface Flags extends SharedFlags {
    readonly format: 'yaml' | 'json';
    readonly showOrigin: boolean;
    readonly showSecrets: boolean;
  }
  addSharedOptions(program.command('print-effective-config'))
    .description('Print what the proxy would run with: file, labels, environment and defaults merged.')
    .addOption(new Option('--format <format>', 'how it is written').choices(['yaml', 'json']).default('yaml'))
    .option('--show-origin', 'say behind each value where it comes from', false)
    .option('--show-secrets', 'show webhook URLs, tokens, values of env and the like instead of ***', false)
    // `validate` takes the file like this.
    .allowExcessArguments()
    .action(async ({ config, format, showOrigin, showSecrets, ...flags }: Flags, command: Command) => {
      const [extra] = command.args;
      if (extra !== undefined)
        command.error(`error: a file is named by a flag here; write "--config ${extra}"`);
      const { printEffectiveConfig } = await import('./print-effective-config.ts');
      const shown = { format, showOrigin, showSecrets };
      exit(await printEffectiveConfig({ config, ...shown, settings: toSettingsFlags(flags) }, io));
    });
}

function addHealthcheck(program: Command, io: ProgramIo, exit: (status: number) => void): void {
  interface Flags {
    readonly config?: string;
    readonly statusPort?: number;
  }
  program
    .command('healthcheck')
    .description(
      'Ask the status server of a running proxy for /health. Exit status: 0 well, or no status server; 1 not well.',
    )
    .option('-c, --config <file>', `configuration file (default: ${CONFIG_SEARCH})`)
    .addOption(createOption(FLAGS.statusPort, 'port of the status server, where `run` was given it; 0 = off'))
    .addHelpText('after', HEALTHCHECK_HELP)
    .action(async ({ config, statusPort }: Flags) => {
      const { healthcheck } = await import('./healthcheck.ts');
      exit(await healthcheck({ config, statusPort }, { ...io, clock: systemClock }));
    });
}

function addCa(program: Command, io: ProgramIo, exit: (status: number) => void): void {
  program
    .command('ca')
    .description('Print the certificate that devices have to trust, where http.self_signed_domains is set.')
    .option('-c, --config <file>', `configuration file (default: ${CONFIG_SEARCH})`)
    .addHelpText('after', CA_HELP)
    .action(async ({ config }: { readonly config?: string }) => {
      const { printAuthority } = await import('./ca.ts');
      exit(await printAuthority({ config }, { ...io, clock: systemClock }));
    });
}

function addStatus(program: Command, io: ProgramIo, exit: (status: number) => void): void {
  interface Flags extends ProxyFlags {
    readonly watch: boolean;
    readonly json: boolean;
  }
  addProxyOptions(program.command('status'))
    .description('Show what a running proxy does: who is awake, why, until when.')
    .argument('[service]', 'this one alone')
    .option('-w, --watch', 'draw it anew each second', false)
    .addOption(new Option('--json', 'what the API answers').default(false).conflicts('watch'))
    .action(async (service: string | undefined, flags: Flags) => {
      exit(
        await askProxy(flags, io, {
          run: async (parts) => (await import('./status.ts')).status({ ...flags, service }, parts),
        }),
      );
    });
}

function addExplain(program: Command, io: ProgramIo, exit: (status: number) => void): void {
  interface Flags extends ProxyFlags {
    readonly showSecrets: boolean;
  }
  addProxyOptions(program.command('explain'))
    .description(
      'Tell all of one service: why it is awake or not, its last wakes, where each value comes from.',
    )
    .argument('<service>', 'its name')
    .option(
      '--show-secrets',
      'show webhook URLs, values of env and the like instead of *** (needs the token)',
      false,
    )
    .action(async (service: string, { showSecrets, ...flags }: Flags) => {
      exit(
        await askProxy(flags, io, {
          run: async (parts) => (await import('./explain.ts')).explain({ service, showSecrets }, parts),
        }),
      );
    });
}

function addDiff(program: Command, io: ProgramIo, exit: (status: number) => void): void {
  addProxyOptions(program.command('diff'), DIFF_HELP)
    .description('Tell what a running proxy would change if it read this file.')
    .argument('[file]', 'the file, - for standard input; without it the one that `run` would use')
    .action(async (file: string | undefined, flags: ProxyFlags) => {
      const run = async (parts: CommandParts) => {
        const { diff } = await import('./diff.ts');
        return diff({ file, config: flags.config }, parts);
      };
      // As of the program diff: 1 means that there are differences.
      exit(await askProxy(flags, io, { run, refused: EXIT_UNUSABLE }));
    });
}

function addSteering(program: Command, io: ProgramIo, exit: (status: number) => void): void {
  interface Flags extends ProxyFlags {
    readonly force?: boolean;
    readonly for?: string;
  }
  const add = (kind: Steering['kind'], description: string) =>
    addProxyOptions(program.command(kind))
      .description(`${description} It needs the token.`)
      .argument('<service>', 'its name')
      .action(async (service: string, { force = false, for: time, ...flags }: Flags) => {
        const run = async (parts: CommandParts) => {
          const { steer } = await import('./steer.ts');
          return steer({ service, steering: { kind, force, time } }, parts);
        };
        exit(await askProxy(flags, io, { run }));
      });
  add('wake', 'Wake a service; it sleeps again when it has been idle, as after a client.');
  add('sleep', 'Put a service to sleep, unless somebody uses it.').option('--force', 'cut its clients first');
  add('hold', 'Wake a service, and keep it awake for a while, in place of an earlier hold.').option(
    '--for <time>',
    'how long: 2h, 1h30m, 7d, 90 for as many seconds; 30 days at most (default: an hour)',
  );
  add('release', 'End the hold of a service.');
}

function addEvents(program: Command, io: ProgramIo, exit: (status: number) => void): void {
  interface Flags extends ProxyFlags {
    readonly json: boolean;
    readonly past: boolean;
  }
  addProxyOptions(program.command('events'))
    .description('Tell what happens, as it happens, until Ctrl-C; or what has happened.')
    .argument('[service]', 'of this one alone')
    .option('--past', 'what is known of the last 24 hours', false)
    .option('--json', 'one JSON document a line', false)
    .action(async (service: string | undefined, { json, past, ...flags }: Flags) => {
      const run = async (parts: CommandParts) =>
        (await import('./events.ts')).events({ service, json, past }, parts);
      exit(await askProxy(flags, io, { run }));
    });
}

function addCompletion(program: Command, io: ProgramIo, exit: (status: number) => void): void {
  program
    .command('completion')
    .description('Print a script by which a shell completes commands, options and names of services.')
    .addArgument(new Argument('<shell>', 'the shell').choices(['bash', 'zsh', 'fish']))
    .argument('[words...]', 'what is typed so far: then what may follow is printed in place of the script')
    .addHelpText('after', COMPLETION_HELP)
    .action(async (shell: Shell, words: string[]) => {
      const { completion } = await import('./completion.ts');
      const listServices = async (flags: ProxyFlags) => {
        const { listServiceNames } = await import('./running-proxy.ts');
        return listServiceNames(flags, { ...io, clock: systemClock, stderr: () => {} });
      };
      exit(await completion({ shell, words, program, listServices }, io));
    });
}

/** Runs a command that asks a running proxy; resolves to the exit status. */
async function askProxy(
  flags: ProxyFlags,
  io: ProgramIo,
  { run, refused }: { readonly run: (parts: CommandParts) => Promise<number>; readonly refused?: number },
): Promise<number> {
  const { withProxy } = await import('./running-proxy.ts');
  const whole = { ...io, clock: systemClock };
  return withProxy(flags, whole, {
    run: (proxy) => run({ proxy, io: whole }),
    ...(refused !== undefined && { refused }),
  });
}

/** The options of what asks a running proxy. */
function addProxyOptions(command: Command, statuses = PROXY_STATUSES): Command {
  return command
    .option('--url <url>', "the proxy's status server (default: where `run` would have it on this machine)")
    .option('--token <token>', `what changes and secrets need (default: $${TOKEN_VARIABLE})`)
    .option('-c, --config <file>', `configuration file (default: ${CONFIG_SEARCH})`)
    .addOption(createOption(FLAGS.statusPort, 'port of the status server, where `run` was given it'))
    .addHelpText('after', `${PROXY_HELP}${statuses}`);
}

function addSharedOptions(command: Command): Command {
  command.option('-c, --config <file>', `configuration file (default: ${CONFIG_SEARCH})`);
  for (const flag of Object.values(FLAGS)) command.addOption(createOption(flag));
  return command;
}

function createOption(spec: FlagSpec, description = spec.description): Option {
  const { flag, value, choices, parse } = spec;
  const option = new Option(value === undefined ? flag : `${flag} <${value}>`, description);
  if (choices !== undefined) option.choices(choices);
  if (parse !== undefined) {
    option.argParser((text) => {
      const parsed = parse(text);
      if (parsed.ok) return parsed.value;
      throw new InvalidArgumentError(
        spec.expected === undefined ? `${parsed.message}.` : `It must be ${spec.expected}.`,
      );
    });
  }
  return option;
}

function describeExtra(word: string, program: Command): string {
  if (/\.ya?ml$/i.test(word))
    return `error: "${word}" is not a command; did you mean "run --config ${word}"?`;
  const commands = program.commands.map((command) => command.name());
  return `error: "${word}" is not a command; there are ${commands.join(', ')}${suggestNearest(word, commands)}`;
}

/** The flags that are settings, without `config` and the command's own. */
function toSettingsFlags({ labels, ...flags }: SettingsFlags): SettingsFlags {
  // Commander sets `labels` to true if --no-labels is absent; that doesn't count as given.
  return { ...flags, labels: labels === true ? undefined : false };
}
