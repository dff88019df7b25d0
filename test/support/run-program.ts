/** The built program, run to its end. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';

export const PROGRAM = path.resolve(import.meta.dirname, '../../dist/main.js');

export interface CliResult {
  readonly status: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs the program with `args`; kills it after `timeoutMs` (default 30 s).
 * @param options.env the whole environment beside PATH; undefined = unset.
 */
export async function runProgram(
  args: readonly string[],
  options: {
    readonly env?: Readonly<Record<string, string | undefined>>;
    readonly cwd?: string;
    /** What it reads from standard input; default: nothing can be read. */
    readonly input?: string;
    readonly timeoutMs?: number;
  } = {},
): Promise<CliResult> {
  const { cwd, env = {}, input, timeoutMs = 30_000 } = options;
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    ...(cwd && { cwd }),
    // What a proxy keeps may change what the next one says; other commands keep nothing.
    env: { PATH: process.env['PATH'], ...(args[0] === 'run' && { LAZY_PROXY_STATE_DIR: 'off' }), ...env },
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  }) as ChildProcessByStdio<Writable | null, Readable, Readable>;
  child.stdin?.end(input);
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      text[name] += chunk;
    });
  }
  const [code, signal] = await once(child, 'close');
  return { status: code ?? signal, ...text };
}
