import { startTimer, timeEach } from './gauges.mjs';
import { nameOf } from './sample.mjs';

/** What takes longer for one service, in the mean, is given up: it must not keep the rest from being measured. */
const MAX_MS_EACH = 0.5;

const NOON_MS = Date.UTC(2026, 0, 15, 12);

/** Two jobs for each service, armed one service after the other as a plan does it; then all that are due at one time. */
export async function measureCron({ product, size, report }) {
  const clock = createHandClock(NOON_MS);
  const budgetMs = 2_000 + size * MAX_MS_EACH;
  const fires = createFireCount(budgetMs);
  const schedules = new product.ScheduleSet({ clock, onFire: () => fires.add() });
  const services = Array.from({ length: size }, (_, index) => createScheduled(index));
  const armed = timeEach(size, {
    each: (index) => schedules.set(services[index]),
    budgetMs,
  });
  report({ phase: 'schedules armed', ms: armed.ms, operations: armed.done });
  if (armed.ms === undefined) return;
  const fired = fires.during(() => clock.advanceTo(NOON_MS + 60_000));
  if (fired.ms !== undefined && fired.done !== size)
    throw new Error(`${fired.done} schedules fired instead of ${size}`);
  report({ phase: 'schedules fired, all at once', ms: fired.ms, operations: fired.done });
  schedules.close();
}

/** Counts what fires, and breaks off where it takes too long. */
function createFireCount(budgetMs) {
  const tooLate = new Error('it took too long');
  let timer;
  let done = 0;
  return {
    add() {
      done++;
      if (done % 64 === 0 && timer.ms() > budgetMs) throw tooLate;
    },
    during(run) {
      timer = startTimer();
      try {
        run();
        return { ms: timer.ms(), done };
      } catch (error) {
        if (error !== tooLate) throw error;
        return { ms: undefined, done };
      }
    },
  };
}

/** Every service starts at the same minute. */
function createScheduled(index) {
  const cronStop = `${index % 60} ${13 + (index % 10)} * * *`;
  return {
    ...{ name: nameOf(index), availability: 'on_demand', cronStart: '1 12 * * *', cronStop },
    ...{ timezone: 'UTC', awake: [] },
  };
}

/** A clock with room for one timer, which is all that the schedules have. */
function createHandClock(startMs) {
  let nowMs = startMs;
  let callback;
  return {
    nowMs: () => nowMs,
    schedule(_delayMs, call) {
      callback = call;
      return () => {
        callback = undefined;
      };
    },
    advanceTo(ms) {
      nowMs = ms;
      callback?.();
    },
  };
}
