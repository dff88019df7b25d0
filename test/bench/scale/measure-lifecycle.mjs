import { setImmediate as settle } from 'node:timers/promises';
import { observationOf, openControlSide } from './control-side.mjs';
import { MIN_OBSERVED, readMemory, startTimer, timeBest, timeOnce } from './gauges.mjs';
import { buildSampleTable, subtract } from './measure-table.mjs';
import { createLabelled, nameOf } from './sample.mjs';

const PREFIX = 'lazy-tcp-proxy';

/** The table put in force, changed by one line, fed with what engines see, and used by clients. */
export async function measureLifecycle({ product, size, report, readings, table }) {
  const side = await openControlSide(product, table);
  const context = { product, size, report, side, readings };
  const before = await readMemory();
  const applied = timeOnce(() => side.reconciler.apply(table));
  await side.listeners.settled();
  report({ phase: 'plan and apply at the start', ms: applied.ms, operations: size });
  report({ phase: 'lifecycle, all asleep', memory: subtract(await readMemory(), before), operations: size });
  await measureReload(context);
  await measureObservations(context, before);
  measureLeases(context);
  measureViews(context);
  report({ phase: 'shutdown', ms: timeOnce(() => side.close()).ms, operations: size });
}

/** One line changes: the whole table is built again, and one service is updated. */
async function measureReload({ product, size, report, side, readings }) {
  const changed = Math.floor(size / 2);
  const versions = ['6m', '7m'].map((idleTimeout) => {
    const labelled = createLabelled(changed, { idleTimeout });
    return readings.with(changed, product.parseLabels(labelled, { prefixes: [PREFIX] }));
  });
  let planMs = Number.POSITIVE_INFINITY;
  const whole = timeBest((run) => {
    const { holders, current: before } = side.reconciler;
    const table = buildSampleTable(product, { readings: versions[run % 2], holders, before });
    const { ms, result: plan } = timeOnce(() => side.reconciler.apply(table));
    planMs = Math.min(planMs, ms);
    const kinds = plan.map(({ kind }) => kind).join();
    if (kinds !== 'update-service') throw new Error(`one line was changed, but the plan is: ${kinds}`);
  });
  report({ phase: 'reload of one line', ms: whole.ms, operations: size });
  report({ phase: '… of which plan and apply', ms: planMs, operations: size });
}

/** Every workload is seen running and stopped in turn; at last all are awake. */
async function measureObservations({ product, size, report, side }, asleep) {
  const controllers = side.names.map((name) => side.lifecycle.find(name));
  // Hubs come after their dependants, and would wake them again: so they stop first.
  const orders = { running: [...side.keys.keys()], stopped: [...side.keys.keys()].reverse() };
  const observeAll = async (state) => {
    const observations = side.keys.map((_, index) => observationOf(product, { index, state }));
    const timer = startTimer();
    for (const index of orders[state]) {
      side.backend.tell(side.keys[index], observations[index]);
      // As if a client had got through: the proxy would dial what runs, and nothing is there.
      if (state === 'running') controllers[index].prove();
    }
    // What follows from it is done in microtasks.
    await settle();
    return timer.ms();
  };
  let bestMs = Number.POSITIVE_INFINITY;
  for (let round = 0; round < Math.max(2, MIN_OBSERVED / size); round++)
    bestMs = Math.min(bestMs, (await observeAll('running')) + (await observeAll('stopped')));
  await observeAll('running');
  expectStates(side, { size, state: 'ready' });
  report({ phase: 'observation that changes a state', ms: bestMs, operations: 2 * size });
  report({ phase: 'lifecycle, all awake', memory: subtract(await readMemory(), asleep), operations: size });
  const again = side.keys.map((_, index) => observationOf(product, { index, state: 'running' }));
  const same = timeBest(() => {
    for (const [index, key] of side.keys.entries()) side.backend.tell(key, again[index]);
  });
  report({ phase: 'observation that changes nothing', ms: same.ms, operations: size });
}

/** The part of a connection that is the lifecycle's: the lease is taken and given back, and the idle timer follows. */
function measureLeases({ size, report, side }) {
  const controllers = Array.from({ length: size }, (_, index) => side.lifecycle.find(nameOf(index)));
  const leased = timeBest(() => {
    for (const controller of controllers) controller.takeLease().release();
  });
  report({ phase: 'lease taken and given back', ms: leased.ms, operations: size });
  const key = side.keys[size - 1];
  const views = [new Set(), new Set([key])];
  const shared = timeBest((run) =>
    side.lifecycle.share('kubernetes', { isSleeper: true, heldElsewhere: views[run % 2] }),
  );
  report({ phase: 'view of other replicas taken', ms: shared.ms, operations: size });
}

/** `GET /status`. */
function measureViews({ product, size, report, side }) {
  const status = timeBest(() => {
    const views = product.collectViews(side.reconciler.current, side);
    return JSON.stringify(product.buildStatusRows(views, product.systemClock.nowMs()), undefined, 2).length;
  });
  report({ phase: 'GET /status', ms: status.ms, operations: size });
}

function expectStates(side, { size, state }) {
  for (let index = 0; index < size; index++) {
    const actual = side.lifecycle.find(nameOf(index))?.state.kind;
    if (actual !== state) throw new Error(`${nameOf(index)} is ${actual} instead of ${state}`);
  }
}
