import path from 'node:path';
import { startProgram } from '../bed/program.mjs';
import { SMALL_BYTES } from '../bed/upstream-files.mjs';

const PROGRAM = path.join(import.meta.dirname, '../bed/node-answers.mjs');

/** Node's own server, which asks nobody: what no proxy that reads its clients by it can be faster than. */
export function createNodeFloor() {
  return {
    ...{ id: 'node-floor', label: 'node:http alone', protocols: ['http'], asksNobody: true },
    start: ([{ listen }], { folder }) =>
      startProgram([process.execPath, PROGRAM, String(listen), String(SMALL_BYTES)], {
        logFile: path.join(folder, 'log'),
      }),
  };
}
