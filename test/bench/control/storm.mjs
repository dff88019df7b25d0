/** A storm of events over containers, the same at each run. Pure. */

/** Of each ten events of a container; the rename is taken back by the one after next. */
const ACTIONS = [
  ...['die', 'exec_create: true', 'start', 'health_status: healthy', 'exec_die'],
  ...['die', 'start', 'health_status: unhealthy', 'exec_start: true', 'health_status: healthy'],
];

/** One container in so many is renamed and named back, over and over. */
const RENAMED_EVERY = 50;

/**
 * So many events, one container after the other, each with what it changes; apply the changes in that order. At the end
 * every third container is stopped, the others run, and all have their own names.
 */
export function createStorm(containers, events) {
  const steps = [];
  for (let number = 0; number < events; number++) {
    const place = number % containers.length;
    const round = Math.floor(number / containers.length);
    const isLast = number >= events - containers.length;
    steps.push(createStep(containers[place], { place, round, isLast }));
  }
  return steps;
}

function createStep(container, { place, round, isLast }) {
  if (place % RENAMED_EVERY === 0) {
    const own = `app-${container.index}`;
    const name = isLast || round % 2 === 1 ? own : `${own}-renamed`;
    return { container, action: 'rename', fields: { name } };
  }
  if (isLast) {
    const running = place % 3 !== 0;
    return { container, action: running ? 'start' : 'die', fields: { running, health: 'healthy' } };
  }
  const action = ACTIONS[(place + round) % ACTIONS.length];
  return { container, action, fields: changeOf(action) };
}

function changeOf(action) {
  if (action === 'die') return { running: false };
  if (action === 'start') return { running: true, health: 'starting' };
  const [kind, health] = action.split(': ');
  return kind === 'health_status' ? { health } : {};
}
