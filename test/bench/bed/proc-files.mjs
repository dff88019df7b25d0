/** What the kernel tells about processes. Linux only. */
import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ, which is 100 on every architecture of Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
const LISTEN_STATE = '0A';

/** A process and those below it. */
export function listTree(pid) {
  const parents = new Map();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const fields = readStat(name);
    if (fields !== undefined) parents.set(Number(name), Number(fields[1]));
  }
  const tree = [pid];
  for (const parent of tree) for (const [child, its] of parents) if (its === parent) tree.push(child);
  return tree;
}

/** Seconds of processor time of a process and those below it, all threads, user and system. */
export function readCpuSeconds(pid) {
  const ticks = listTree(pid).map((each) => {
    const fields = readStat(each);
    return fields === undefined ? 0 : Number(fields[11]) + Number(fields[12]);
  });
  return sum(ticks) / TICKS_PER_SECOND;
}

/** Bytes that are private to a process and those below it, and written to. */
export function readPrivateDirtyBytes(pid) {
  const kilobytes = listTree(pid).map((each) => {
    const found = /^Private_Dirty:\s+(\d+) kB$/m.exec(readOr(`/proc/${each}/smaps_rollup`));
    return found === null ? 0 : Number(found[1]);
  });
  return sum(kilobytes) * 1_024;
}

/** How often the threads of a process and those below it went to sleep, and the nanoseconds they ran. */
export function readActivity(pid) {
  const threads = listTree(pid).flatMap((each) => {
    const folder = `/proc/${each}/task`;
    return listOr(folder).map((thread) => `${folder}/${thread}`);
  });
  const switches = threads.map((thread) => {
    const found = /^voluntary_ctxt_switches:\s+(\d+)$/m.exec(readOr(`${thread}/status`));
    return found === null ? 0 : Number(found[1]);
  });
  const ran = threads.map((thread) => Number(readOr(`${thread}/schedstat`).split(' ')[0]));
  return { switches: sum(switches), cpuNanoseconds: sum(ran) };
}

/** True when somebody listens on each of the TCP ports; asks nobody who would take notice. */
export function areListening(ports) {
  const lines = `${readOr('/proc/net/tcp')}${readOr('/proc/net/tcp6')}`.split('\n');
  const heard = new Set(
    lines.flatMap((line) => {
      const [, local, , state] = line.trim().split(/\s+/);
      return state === LISTEN_STATE ? [Number.parseInt(local.slice(local.lastIndexOf(':') + 1), 16)] : [];
    }),
  );
  return ports.every((port) => heard.has(port));
}

/** The fields after the program's name, which may hold spaces and parentheses. */
function readStat(pid) {
  const text = readOr(`/proc/${pid}/stat`);
  return text === '' ? undefined : text.slice(text.lastIndexOf(')') + 2).split(' ');
}

function readOr(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // It has ended meanwhile.
    return '';
  }
}

function listOr(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}
