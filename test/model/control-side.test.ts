/**
 * The control side of the proxy as a whole, with a scripted engine, on a clock that the test moves: whatever happens, in
 * whatever order, what `World.check()` says must hold after every step. `npm run test:model` takes more steps.
 *
 * A failure prints its seed and path; `LAZY_PROXY_MODEL_SEED=… LAZY_PROXY_MODEL_PATH=…` plays it again.
 */
import fc from 'fast-check';
import { test, vi } from 'vitest';
import { arbitraryHistory, type Step } from './control-side/steps.ts';
import { World } from './control-side/world.ts';

/** The longest history; the average has half as many. */
const LONGEST = 120;
const MEMORY_CHECK_EVERY = 10;
const steps = Number(process.env['LAZY_PROXY_MODEL_STEPS'] ?? 20_000);
const seed = process.env['LAZY_PROXY_MODEL_SEED'];
const path = process.env['LAZY_PROXY_MODEL_PATH'];
/** Without a failure it takes a small part of that; a failure is made shorter as long as there is time. */
const LIMIT_MS = 120_000 + 10 * steps;

/** The world of the history that is played: one at a time. */
const played = vi.hoisted(() => ({ world: undefined as World | undefined }));
vi.mock('../../src/lifecycle/run/dial.ts', () => ({
  dial: (...args: Parameters<World['dial']>) => played.world?.dial(...args),
}));

let taken = 0;
let histories = 0;

async function play(history: readonly Step[]): Promise<void> {
  const world = await World.start();
  played.world = world;
  for (const [index, { words, happen }] of history.entries()) {
    await happen(world);
    taken++;
    demandNothing(await world.check(), `after step ${index}: ${words}`);
  }
  if (++histories % MEMORY_CHECK_EVERY === 0) demandNothing(await world.checkMemory(), 'after all of it');
  demandNothing(await world.rest(), 'after everybody has left and time has passed');
  demandNothing(await world.close(), 'after the end');
}

function demandNothing(wrong: readonly string[], when: string): void {
  if (wrong.length > 0) throw new Error(`${when}: ${wrong.join('; ')}`);
}

test('the control side keeps its promises whatever happens', { timeout: 3_600_000 }, async () => {
  const show = (history: readonly Step[]) => history.map(({ words }) => words);
  const options = {
    numRuns: Math.ceil((2 * steps) / LONGEST),
    ...{ interruptAfterTimeLimit: LIMIT_MS, markInterruptAsFailure: true },
    ...(seed !== undefined && { seed: Number(seed) }),
    ...(path !== undefined && { path }),
    reporter: (details: fc.RunDetails<[readonly Step[]]>) => {
      if (!details.failed) return;
      const [history = []] = details.counterexample ?? [];
      const again = `LAZY_PROXY_MODEL_SEED=${details.seed} LAZY_PROXY_MODEL_PATH=${details.counterexamplePath}`;
      throw new Error([`${again}`, ...show(history), String(details.errorInstance)].join('\n'));
    },
  };
  await fc.assert(fc.asyncProperty(arbitraryHistory(LONGEST), play), options);
  console.log(`${taken} steps`);
});
