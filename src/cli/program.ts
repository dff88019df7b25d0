import { Command, InvalidArgumentError, Option } from 'commander';
import { LOG_FORMATS, LOG_LEVELS, type LogFormat, type LogLevel } from '../system/logger.ts';
import type { SettingsFlags } from '../table/resolve-settings.ts';
import { printEffectiveConfig } from './print-command.ts';
import type { ProgramIo } from './program-io.ts';
import { run } from './run.ts';
import { validate } from './validate.ts';
import { readVersion } from './version.ts';

const EXAMPLES = `
Examples:
  lazy-proxy                                     use ./lazy-proxy.yaml or /etc/lazy-proxy/lazy-proxy.yaml, or labels alone
  lazy-proxy run --config /config/proxy.yaml     use this file
  lazy-proxy validate --format github *.yaml     check files in CI; needs no engine
  lazy-proxy print-effective-config --show-origin
`;

/** The command tree. Each action hands its exit status to `exit`. */
export function createProgram(io: ProgramIo, exit: (status: number) => void): Command {
  const program = new Command('lazy-proxy')
    .description('On-demand TCP and UDP proxy: wakes a sleeping service when the first client arrives.')
    .version(readVersion())
    .configureOutput({
      writeOut: (text) => io.stdout(text.trimEnd()),
      writeErr: (text) => io.stderr(text.trimEnd()),
    })
    .addHelpText('after', EXAMPLES)
    .showHelpAfterError('(lazy-proxy --help shows the commands and options)')
    .exitOverride();
  addRun(program, io, exit);
  addValidate(program, io, exit);
  addPrint(program, io, exit);
  return program;
}

interface SharedFlags {
  readonly config?: string;
  readonly dockerSocket?: string;
  readonly labels: boolean;
  readonly labelPrefix?: string;
}

function addRun(program: Command, io: ProgramIo, exit: (status: number) => void): void {
  interface Flags extends SharedFlags {
    readonly statusPort?: number;
    readonly logLevel?: LogLevel;
    readonly logFormat?: LogFormat;
  }
  addSharedOptions(program.command('run', { isDefault: true }))
    .description('Run the proxy (the default).')
    .option('--status-port <port>', 'port of the status server; 0 = off', parsePort)
    .addOption(new Option('--log-level <level>', 'what is logged').choices(LOG_LEVELS))
    .addOption(new Option('--log-format <format>', 'how it is logged').choices(LOG_FORMATS))
    .action(async (flags: Flags) => {
      const settings = { ...toSettingsFlags(flags), statusPort: flags.statusPort };
      exit(
        await run(
          { config: flags.config, logLevel: flags.logLevel, logFormat: flags.logFormat, settings },
          io,
        ),
      );
    });
}

function addValidate(program: Command, io: ProgramIo, exit: (status: number) => void): void {
  program
    .command('validate')
    .description('Check configuration files. Exit status: 0 good, 1 problems, 2 unreadable.')
    .argument('[files...]', 'files to check; without any, the one that `run` would use')
    .addOption(
      new Option('--format <format>', 'how problems are written')
        .choices(['text', 'json', 'github'])
        .default('text'),
    )
    .action(async (files: string[], flags: { readonly format: 'text' | 'json' | 'github' }) => {
      exit(await validate(files, { format: flags.format, stdout: io.stdout, env: io.env, cwd: io.cwd }));
    });
}

function addPrint(program: Command, io: ProgramIo, exit: (status: number) => void): void {
  interface Flags extends SharedFlags {
    readonly format: 'yaml' | 'json';
    readonly showOrigin: boolean;
  }
  addSharedOptions(program.command('print-effective-config'))
    .description('Print what the proxy would run with: file, labels, environment and defaults merged.')
    .addOption(new Option('--format <format>', 'how it is written').choices(['yaml', 'json']).default('yaml'))
    .option('--show-origin', 'say behind each value where it comes from', false)
    .action(async ({ config, format, showOrigin, ...flags }: Flags) => {
      exit(await printEffectiveConfig({ config, format, showOrigin, settings: toSettingsFlags(flags) }, io));
    });
}

function addSharedOptions(command: Command): Command {
  return command
    .option('-c, --config <file>', 'configuration file (default: see above)')
    .option('--docker-socket <path>', 'socket or URL of the Docker engine')
    .option('--no-labels', 'leave container labels out')
    .option('--label-prefix <prefix>', 'prefix of the labels');
}

function toSettingsFlags(flags: SharedFlags): SettingsFlags {
  // Commander makes `labels` true where --no-labels is absent; that says nothing.
  return {
    dockerSocket: flags.dockerSocket,
    labels: flags.labels ? undefined : false,
    labelPrefix: flags.labelPrefix,
  };
}

function parsePort(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new InvalidArgumentError('It must be a port from 1 to 65535, or 0 for off.');
}
