/** A program on a terminal, as a person sits before it: what is typed goes through the terminal, and so does Ctrl-C. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { onTestFinished } from 'vitest';

/** Of bsdutils, which every Debian has. */
const SCRIPT = '/usr/bin/script';
const MAX_WAIT_MS = 20_000;

export const hasTerminals = existsSync(SCRIPT) && process.platform === 'linux';

export const CTRL_C = '\u0003';

export interface Terminal {
  type(text: string): void;
  /** All that was written to it so far, with the sequences that steer it. */
  output(): string;
  /** Resolves when this is on it, behind the first `from` characters. */
  shows(what: string | RegExp, from?: number): Promise<void>;
  /** Resolves with the exit status. */
  readonly ended: Promise<number>;
}

/** Runs a command of the shell on a terminal of 100 columns and 30 lines; ended when the test ends. */
export function openTerminal(
  command: string,
  options: { readonly cwd: string; readonly env: Readonly<Record<string, string | undefined>> },
): Terminal {
  const sized = `stty columns 100 rows 30; exec ${command}`;
  const child = spawn(SCRIPT, ['-qefc', sized, '/dev/null'], {
    ...{ cwd: options.cwd, stdio: ['pipe', 'pipe', 'ignore'] },
    env: { TERM: 'xterm', SHELL: '/bin/sh', PATH: process.env['PATH'], ...options.env },
  });
  const exited = once(child, 'exit').then(([code]) => Number(code));
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk;
  });
  child.stdin.on('error', () => {});
  onTestFinished(async () => {
    child.kill();
    await exited;
  });
  const isThere = (what: string | RegExp, from: number) => {
    const text = output.slice(from);
    return typeof what === 'string' ? text.includes(what) : what.test(text);
  };
  return {
    type: (text) => void child.stdin.write(text),
    output: () => output,
    ended: exited,
    async shows(what, from = 0) {
      const signal = AbortSignal.timeout(MAX_WAIT_MS);
      while (!isThere(what, from)) {
        await once(child.stdout, 'data', { signal }).catch((cause: unknown) => {
          throw new Error(`the terminal never showed ${what}; it has:\n${output}`, { cause });
        });
      }
    },
  };
}
