/** Loaded before the program: at SIGUSR2 garbage is collected, and the bytes that JavaScript still holds are written to descriptor 3. */
import { writeSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';

const { gc } = globalThis;
if (gc === undefined) throw new Error('node needs --expose-gc here');

process.on('SIGUSR2', async () => {
  for (let round = 0; round < 3; round++) {
    await nextTurn();
    gc();
  }
  const { heapUsed, external } = process.memoryUsage();
  writeSync(3, `${heapUsed + external}\n`);
});
