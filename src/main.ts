#!/usr/bin/env node
import { once } from 'node:events';
import { CommanderError } from 'commander';
import { createProgram } from './cli/program.ts';
import type { ProgramIo } from './system/program-io.ts';
import { escapeLines, escapeText } from './model/text/escape-text.ts';
import { systemClock } from './system/clock.ts';
import { EXIT_OK, EXIT_UNUSABLE } from './system/exit-codes.ts';
import { createLineOutput } from './system/log/line-output.ts';
import { toSourceStack } from './system/source-stack.ts';

const writeError = createLineOutput(process.stderr, () => {});
const writeLine = createLineOutput(process.stdout, (error) => {
  writeError(`lazy-proxy: the output can't be written: ${error.message}`);
  // Whatever the command says later: what it found has reached nobody.
  process.once('exit', () => {
    process.exitCode = EXIT_UNUSABLE;
  });
});

const io: ProgramIo = {
  env: process.env,
  cwd: process.cwd(),
  isTerminal: process.stdout.isTTY === true,
  ...(process.stdout.isTTY === true && {
    terminal: {
      columns: () => process.stdout.columns || 80,
      rows: () => process.stdout.rows || 24,
      write: (text: string) => void process.stdout.write(text),
    },
  }),
  stdout: (line) => writeLine(escapeText(line)),
  stderr: (line) => writeError(escapeText(line)),
  settleOutput,
  onSignal(signals, callback) {
    for (const signal of signals) process.on(signal, callback);
    return () => {
      for (const signal of signals) process.off(signal, callback);
    };
  },
};

/** Long enough for whoever reads; a shutdown has 10 s in all. */
const LAST_LINES_MS = 500;
let isOutputLost = false;

/** Node goes on for as long as something waits to be written, which may be for ever. */
async function settleOutput(): Promise<void> {
  const { stdout } = process;
  if (stdout.writableLength === 0) return;
  const settled = new AbortController();
  const { signal } = settled;
  const ends = [once(stdout, 'drain', { signal }), systemClock.sleep(LAST_LINES_MS, signal)];
  await Promise.race(ends);
  for (const end of ends) end.catch(() => {});
  settled.abort();
  isOutputLost = stdout.writableLength > 0;
}

/** Runs the command that was asked for; whatever is no mistake on the command line ends the program as it is. */
async function main(): Promise<void> {
  const program = createProgram(io, (status) => {
    process.exitCode = status;
    if (isOutputLost) process.exit();
  });
  try {
    await program.parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? EXIT_OK : EXIT_UNUSABLE;
  }
}

// Node would open its debugger to everybody on this machine.
process.on('SIGUSR1', () => {});

// What nobody caught is printed by Node, which knows nothing of our source maps.
process.once('uncaughtExceptionMonitor', (error) => {
  if (error instanceof Error && error.stack !== undefined)
    error.stack = escapeLines(toSourceStack(error.stack));
});

// Not awaited here: CommonJS, which the program is shipped as, has no await at the top.
void main();
