import { defineConfig } from 'vitest/config';
import { FileOrder } from './scripts/file-order.ts';

/** A condition that a test waits for may take a while on a busy machine. */
const EXPECT = { poll: { timeout: 30_000 } };

/** What holds for every project. */
const ALL = { expect: EXPECT, setupFiles: ['test/support/measure-processor-time.ts'] };

const OF_OTHER_PROJECTS = ['engine', 'kubernetes', 'cli/program', 'faults', 'browser'].map(
  (folder) => `test/${folder}/**`,
);

export default defineConfig({
  test: {
    // `npm test` starts vitest a dozen times: what one has made JavaScript of, the others, and those of the next run, need not.
    experimental: { fsModuleCache: true },
    sequence: { sequencer: FileOrder },
    coverage: { provider: 'v8', include: ['src/**/*.ts'], reporter: ['text-summary', 'html'] },
    projects: [
      {
        test: {
          name: 'unit',
          ...ALL,
          include: ['test/**/*.test.ts'],
          globalSetup: ['test/support/build-relay-threads.ts'],
          exclude: [...OF_OTHER_PROJECTS, 'test/model/control-side.test.ts'],
          // Many at a time, beside the engine's tests: it bounds what hangs, and says nothing of how fast anything is.
          testTimeout: 60_000,
          // Loading the modules anew for each file takes longer than the tests; four, since many wait for sockets.
          isolate: false,
          maxWorkers: 4,
          maxConcurrency: 16,
          // They bind ports and wait for sockets on a machine that others use, too; a real fault fails twice, and a second try is told.
          retry: 1,
        },
      },
      {
        test: {
          name: 'model',
          ...ALL,
          // It puts a scripted network in the place of the real one, which nobody else must get.
          include: ['test/model/control-side.test.ts'],
          testTimeout: 60_000,
          // After the unit tests, whose workers are so many that they must not be mixed.
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'program',
          ...ALL,
          include: ['test/cli/program/**/*.test.ts'],
          globalSetup: ['test/support/build-program.ts'],
          testTimeout: 60_000,
          isolate: false,
          maxWorkers: 3,
          sequence: { groupOrder: 2 },
          // The programs get ports that were free a moment before, which somebody else may have taken; a real fault fails twice.
          retry: 1,
        },
      },
      {
        test: {
          name: 'browser',
          ...ALL,
          include: ['test/browser/**/*.test.ts'],
          globalSetup: ['test/support/build-program.ts'],
          // One browser for all.
          isolate: false,
          maxWorkers: 1,
          testTimeout: 60_000,
          sequence: { groupOrder: 6 },
          // It shares the machine with the tests of the program; a real fault fails twice.
          retry: 1,
        },
      },
      {
        test: {
          name: 'faults',
          ...ALL,
          include: ['test/faults/**/*.test.ts'],
          globalSetup: ['test/support/build-program.ts'],
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'engine',
          ...ALL,
          include: ['test/engine/**/*.test.ts'],
          fileParallelism: false,
          // What the files share is loaded once, and their images are looked for once.
          isolate: false,
          sequence: { groupOrder: 3 },
          testTimeout: 90_000,
          hookTimeout: 120_000,
          // On a loaded machine its bridge sometimes loses a container's answers for seconds; a real fault fails twice.
          retry: 1,
        },
      },
      {
        test: {
          name: 'kubernetes',
          ...ALL,
          include: ['test/kubernetes/**/*.test.ts'],
          // Nobody listens there: what asks for Docker all the same fails.
          env: { LAZY_PROXY_TEST_DOCKER_HOST: 'tcp://127.0.0.1:9' },
          fileParallelism: false,
          isolate: false,
          sequence: { groupOrder: 4 },
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // They share the machine with the engine tests; a real fault fails twice.
          retry: 1,
        },
      },
    ],
  },
});
