import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';

const MAX_GDB_MS = 20_000;

/**
 * What each thread of a process does: its state and the time that it has taken, of which /proc tells, and where it is in its program,
 * where gdb is installed. Empty where there is no /proc, or the process has ended.
 */
export async function describeThreads(pid: number): Promise<string> {
  const threads = listThreads(pid).map((id) => describeThread(pid, id));
  if (threads.length === 0) return '';
  const args = ['-p', String(pid), '-batch', '-ex', 'thread apply all backtrace 12'];
  const stacks = await promisify(execFile)('gdb', args, { timeout: MAX_GDB_MS }).then(
    ({ stdout }) => stdout.slice(Math.max(0, stdout.indexOf('\nThread '))),
    () => '(gdb could not tell where they are)',
  );
  return [...threads, stacks.trim()].join('\n');
}

function listThreads(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** `23 node: R, user 1200, system 3 (1/100 s), in system call none`, as of proc(5). */
function describeThread(pid: number, id: string): string {
  const read = (name: string) => {
    try {
      return readFileSync(`/proc/${pid}/task/${id}/${name}`, 'utf8').trim();
    } catch {
      return '?';
    }
  };
  const [, name = '?', rest = ''] = /\((.*)\) (.*)/s.exec(read('stat')) ?? [];
  const fields = rest.split(' ');
  const [call = '?'] = read('syscall').split(' ');
  return `${id} ${name}: ${fields[0]}, user ${fields[11]}, system ${fields[12]} (1/100 s), in system call ${call === 'running' ? 'none' : call}`;
}
