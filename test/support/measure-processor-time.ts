/** Set-up of every test file: notes for the report of `npm test` how long it has kept a processor busy. */
import { readFileSync } from 'node:fs';
import { afterAll } from 'vitest';

declare module 'vitest' {
  interface TaskMeta {
    /** In this process, from the loading of the file on, and in the programs that it has started and that have ended. */
    processorMs?: number;
  }
}

/** As Linux counts the time of others. */
const TICKS_PER_SECOND = 100;
const beforeMs = readProcessorMs();

// biome-ignore lint/correctness/noEmptyPattern: the runner reads from its text that it asks for no fixture.
afterAll(({}, { file }) => {
  file.meta.processorMs = Math.round(readProcessorMs() - beforeMs);
});

function readProcessorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000 + readChildrenMs();
}

/** Of the children that have ended, and of theirs; 0 where the system doesn't tell. */
function readChildrenMs(): number {
  if (process.platform !== 'linux') return 0;
  const text = readFileSync('/proc/self/stat', 'utf8');
  // The name, which stands in parentheses, may contain anything; the state is the third field.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [user = 0, system = 0] = fields.slice(16 - 3, 18 - 3).map(Number);
  return ((user + system) * 1_000) / TICKS_PER_SECOND;
}
