/**
 * The process of `parseApart`: one text in, one answer out. The work is done by a thread of it, so that it hears while it
 * works that whoever started it is gone, and ends.
 */
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { createFileParser } from '../config/file.ts';
import type { ParseTask } from './parse-apart.ts';

if (isMainThread) serve();
else {
  const { input, layers } = workerData as ParseTask;
  parentPort?.postMessage(createFileParser(layers)(input));
}

function serve(): void {
  process.once('disconnect', () => process.exit());
  process.once('message', (task) => {
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: task });
    worker.once('error', () => process.exit(1));
    worker.once('message', (parsed) => process.send?.(parsed, () => process.disconnect()));
  });
}
