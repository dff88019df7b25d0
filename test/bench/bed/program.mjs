/** Programs that run beside the benchmark, each in a process group of its own. */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { RAISE_LIMIT } from './descriptors.mjs';

const READY_TIMEOUT_MS = 15_000;
const EXIT_GRACE_MS = 5_000;

/**
 * Starts a program with a high limit of open files; its output goes to a log file.
 * @param {readonly string[]} command
 * @param {{ logFile: string, env?: NodeJS.ProcessEnv, cwd?: string }} options
 */
export async function startProgram(command, { logFile, env = process.env, cwd }) {
  const log = openSync(logFile, 'a');
  const child = spawn('sh', ['-c', `${RAISE_LIMIT}; exec "$@"`, 'sh', ...command], {
    ...{ cwd, env, detached: true },
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
  const exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)));
  const program = { pid: child.pid, logFile, child, exited, stop: () => stopGroup(child, exited) };
  return program;
}

/** Starts a Node program with a high limit of open files, which sends messages and gets some. */
export async function startTalker(command) {
  const child = spawn('sh', ['-c', `${RAISE_LIMIT}; exec "$@"`, 'sh', ...command], {
    ...{ detached: true, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
  });
  await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
  const exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)));
  return {
    say: (message) => child.send(message),
    /** The next message. */
    hear: () =>
      new Promise((resolve, reject) => {
        child.once('message', resolve);
        void exited.then((status) => reject(new Error(`a client of the benchmark ended with ${status}`)));
      }),
    stop: () => stopGroup(child, exited),
  };
}

/** Runs a program to its end and returns what it printed. */
export function runToEnd(command, args, { timeoutMs, env = process.env, children }) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    children?.add(child);
    const timer = setTimeout(() => killGroup(child, 'SIGKILL'), timeoutMs);
    const [output, errors] = [[], []];
    child.stdout.on('data', (chunk) => output.push(chunk));
    child.stderr.on('data', (chunk) => errors.push(chunk));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      children?.delete(child);
      const text = Buffer.concat(output).toString();
      if (code === 0) return resolve(text);
      const end = `${text}${Buffer.concat(errors)}`.trim().split('\n').slice(-5).join('\n');
      reject(new Error(`${command} ended with ${code ?? signal}: ${end}`));
    });
  });
}

/** Resolves once the condition holds; fails with the end of the log when the program ends before, or in time. */
export async function waitUntilReady(program, isReady) {
  const deadlineMs = performance.now() + READY_TIMEOUT_MS;
  while (program.child.exitCode === null && program.child.signalCode === null) {
    if (await isReady()) return;
    if (performance.now() > deadlineMs) break;
    await sleep(20);
  }
  const log = await readFile(program.logFile, 'utf8').catch(() => '');
  throw new Error(
    `a program did not get ready; the end of its log:\n${log.split('\n').slice(-15).join('\n')}`,
  );
}

export function killGroup(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    // ESRCH: nobody is left in the group.
    if (error.code !== 'ESRCH') throw error;
  }
}

async function stopGroup(child, exited) {
  if (child.exitCode === null && child.signalCode === null) {
    killGroup(child, 'SIGTERM');
    const timer = setTimeout(() => killGroup(child, 'SIGKILL'), EXIT_GRACE_MS);
    await exited;
    clearTimeout(timer);
  }
  // A worker may outlive its master.
  killGroup(child, 'SIGKILL');
}
