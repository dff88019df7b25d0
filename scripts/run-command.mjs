import { spawn } from 'node:child_process';
import { constants } from 'node:os';

/** Time between the polite signal and the kill when a run is interrupted. */
const INTERRUPT_GRACE_MS = 10_000;

/**
 * Runs one program in a process group of its own, so that nothing it started outlives it and a Ctrl-C at the
 * terminal reaches it once, through `signal`, and not behind the caller's back.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, quiet?: boolean, signal?: AbortSignal }} [options] `quiet` keeps
 * the output for the result instead of showing it; the reason of `signal` is the name of the signal to pass on.
 * @returns {Promise<{ status: number, output: string }>} the exit status as a shell would tell it.
 */
export function runCommand(command, args, options = {}) {
  const { cwd, env, quiet = false, signal } = options;
  if (signal?.aborted) return Promise.resolve({ status: signalStatus(signal.reason), output: '' });
  return new Promise((resolve, reject) => {
    const stdio = quiet ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'inherit', 'inherit'];
    const child = spawn(command, args, { cwd, env, stdio, detached: true });
    const output = [];
    child.stdout?.on('data', (chunk) => output.push(chunk));
    child.stderr?.on('data', (chunk) => output.push(chunk));
    const stopInterrupts = passOnInterrupt(child, signal);
    child.once('error', (error) => {
      stopInterrupts();
      reject(new Error(`cannot run ${command}`, { cause: error }));
    });
    // `exit`, not `close`: whatever the program left running may hold its output open for ever.
    child.once('exit', () => killGroup(child.pid, 'SIGKILL'));
    child.once('close', (code, killedBy) => {
      stopInterrupts();
      resolve({ status: code ?? signalStatus(killedBy), output: Buffer.concat(output).toString() });
    });
  });
}

/** Exit status of a program that a signal ended, as a shell tells it. */
export function signalStatus(name) {
  return 128 + (constants.signals[name] ?? 0);
}

function passOnInterrupt(child, signal) {
  let timer;
  const interrupt = () => {
    killGroup(child.pid, signal.reason);
    timer = setTimeout(() => killGroup(child.pid, 'SIGKILL'), INTERRUPT_GRACE_MS);
  };
  signal?.addEventListener('abort', interrupt, { once: true });
  return () => {
    signal?.removeEventListener('abort', interrupt);
    clearTimeout(timer);
  };
}

function killGroup(pid, name) {
  if (pid === undefined) return;
  try {
    process.kill(-pid, name);
  } catch (error) {
    // ESRCH: nobody is left in the group, which is what was wanted.
    if (error.code !== 'ESRCH') throw error;
  }
}
